"""``cadml families``: which parts are shaped alike, and labels for those that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
)

if TYPE_CHECKING:
    from cadml_core.contracts.features import FeatureVersion
    from cadml_core.families.families import Families, FamilyMember
    from cadml_core.runtime import Runtime

_SHOWN_SIZES, _SHOWN_OUTLIERS, _SHOWN_LABELS = 5, 20, 20


@click.group(invoke_without_command=True)
@click.option("--version", help="Feature version; by default that by which searches rank.")
@click.option("--cut", type=click.FloatRange(0, 2), help="Distance at which families end, over unrelated's.")
@click.option("--smallest", type=click.IntRange(2), default=3, show_default=True, help="Parts of a family.")
@click.option("--limit", type=click.IntRange(0), default=30, show_default=True, help="Most families shown.")
@json_option
@click.pass_context
@reports_errors
def families(
    ctx: click.Context, version: str | None, cut: float | None, smallest: int, limit: int, as_json: bool
) -> None:
    """Find families of parts that are shaped alike, with sizes, and parts that are filed with others.

    Families keep their numbers and names from one time to the next. Where enough parts have labels, what
    counts as alike is fitted to them.
    """
    if ctx.invoked_subcommand is not None:
        return
    from cadml_core.families.families import find_families

    options: Options = ctx.obj
    with options.stored(version=version) as runtime, progress_bar("comparing") as update:
        feature = feature_of(runtime, version)
        found = find_families(runtime.catalog, feature, cut=cut, smallest=smallest, progress=update)
    if as_json:
        print_json(found)
    else:
        _show(found, limit)


@families.command()
@click.option("--version", help="Feature version; by default that by which searches rank.")
@click.option("--at-least", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Confidence.")
@click.option("--accept", is_flag=True, help="Give the parts these labels; without this nothing is changed.")
@json_option
@click.pass_obj
@reports_errors
def labels(options: Options, version: str | None, at_least: float, accept: bool, as_json: bool) -> None:
    """Suggest labels for parts that have none, by the labelled parts they are shaped like.

    The confidence is how often such suggestions are right for the parts that have labels. A kind of part
    of which no part is labelled yet gets a wrong label: look before you accept.
    """
    from cadml_core.families.families import Space
    from cadml_core.families.suggestions import accept as accept_all
    from cadml_core.families.suggestions import suggest

    with options.stored(version=version) as runtime, progress_bar("comparing") as update:
        found = suggest(Space.of(runtime.catalog, feature_of(runtime, version), update))
        chosen = [one for one in found if one.confidence >= at_least]
        given = accept_all(runtime.catalog, chosen) if accept else 0
    if as_json:
        print_json({"suggestions": chosen, "less_sure": len(found) - len(chosen), "accepted": given})
        return
    for one in chosen[:_SHOWN_LABELS]:
        out.print(f"{one.confidence:4.0%}  [bold]{escape(one.label)}[/]  {escape(one.path or one.name)}")
    if len(chosen) > _SHOWN_LABELS:
        out.print(f"... and {len(chosen) - _SHOWN_LABELS:,} more; --json lists all")
    done = f"; {given:,} accepted" if accept else "; --accept gives them"
    out.print(
        f"{len(chosen):,} labels with a confidence of {at_least:.0%} or more,"
        f" {len(found) - len(chosen):,} below{done if chosen else ''}"
    )


def feature_of(runtime: Runtime, version: str | None) -> FeatureVersion:
    """Return the version that is named, else that by which the combined search ranks."""
    features = runtime.registry.features
    return features[version] if version else features[runtime.combined.versions()[0]]


def _show(found: Families, limit: int) -> None:
    for one in found.families[:limit]:
        sizes = f", {escape(one.sizes)}" if one.sizes else ""
        out.print(f"[bold]{escape(one.name)}{sizes}[/]  {one.size:,} parts [dim]family {one.id}[/]")
        for extents, count in _sizes(one.members)[:_SHOWN_SIZES]:
            out.print(f"    {count:>5,}  {extents}")
    for outlier in found.outliers[:_SHOWN_OUTLIERS]:
        what = f"{escape(outlier.looks_like)}, {outlier.by} {escape(outlier.filed_as)}"
        out.print(f"[yellow]looks like[/] {what}: {escape(outlier.path or outlier.name)}")
    if len(found.outliers) > _SHOWN_OUTLIERS:
        out.print(f"... and {len(found.outliers) - _SHOWN_OUTLIERS:,} more that stand out; --json lists all")
    fitted = "" if found.fitted is None else f", fitted to labels (V-measure {found.fitted:.2f})"
    out.print(
        f"{len(found.families):,} families of {found.parts - found.alone:,} parts, {found.alone:,} in none;"
        f" by {found.feature_version}, cut {found.cut:g}{fitted}"
    )


def _sizes(members: Sequence[FamilyMember]) -> list[tuple[str, int]]:
    from collections import Counter

    shown = [" x ".join(f"{length:.3g}" for length in one.extents) + " mm" for one in members if one.extents]
    return Counter(shown).most_common()
