"""``cadml search``: the parts most like a file, or like a part of the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from cadml_hostapp.cli.console import (
    Options,
    err,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    retry_option,
    unit_option,
)
from cadml_hostapp.cli.hits import print_hit

if TYPE_CHECKING:
    from cadml_core.catalog.records import Content, PartFilter
    from cadml_core.contracts.formats import UnitName
    from cadml_core.runtime import Runtime
    from cadml_core.search.questions import SearchResult
    from cadml_core.search.related import CombinedResult
    from cadml_core.search.spaces import SpaceName
    from cadml_core.search.wanted import Wanted

COMBINED = "combined"
"""As ``cadml_core.search.combined`` calls it."""
METRICS = ("scaled", "cosine_raw")
"""The values of ``SpaceName``."""


@click.command()
@click.argument("query", metavar="FILE-or-ID")
@click.option("-k", "--top", "k", default=10, show_default=True, help="How many hits.")
@click.option("--metric", type=click.Choice(METRICS), default="scaled", show_default=True)
@click.option(
    "--version", "version_name", help="Search by the distance of one feature version, without relations."
)
@click.option("--format", "format_name", help="Only parts of this format.")
@click.option("--material", help="Only parts of this material.")
@click.option("--project", help="Only parts of this project.")
@click.option("--label", help="Only parts with this label.")
@click.option("--text", help="Only parts in whose names, path, facts or layers every word occurs.")
@click.option(
    "--size-within",
    type=click.FloatRange(0, 1000),
    help="Only parts whose extents are within so many per cent.",
)
@click.option(
    "--relation", "relations", multiple=True, help="Only hits that are this: same, variant ...; repeatable."
)
@click.option("--no-mirror", is_flag=True, help="Leave out mirror images.")
@click.option(
    "--scale", default="any", show_default=True, help="any, same, or per cent that copies may be scaled by."
)
@unit_option
@retry_option
@click.option("--explain", is_flag=True, help="Say which slots make the difference.")
@json_option
@click.pass_obj
@reports_errors
def search(
    options: Options,
    query: str,
    k: int,
    metric: SpaceName,
    version_name: str | None,
    format_name: str | None,
    material: str | None,
    project: str | None,
    label: str | None,
    text: str | None,
    size_within: float | None,
    relations: tuple[str, ...],
    no_mirror: bool,
    scale: str,
    unit: UnitName | None,
    retry: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Find the parts most like FILE, or like the part with this ID (its beginning is enough).

    What is proved to be the same part, however it is turned, comes first, with score 1; then its mirror
    image, scaled and multiple copies, and parts of one another; then what is most alike. Each hit says
    what it is. Stores nothing.
    """
    from cadml_core.catalog.counts import count_without
    from cadml_core.catalog.records import PartFilter
    from cadml_core.search.wanted import EVERYTHING, wanted

    which = PartFilter(format=format_name, material=material, project=project, label=label, text=text)
    combined = version_name in (None, COMBINED) and metric == "scaled"
    asked = _Asked(
        query,
        k,
        metric,
        which,
        size_within,
        explain=explain,
        unit=unit,
        retry=retry,
        relations=wanted(relations, mirror=not no_mirror, scale=scale),
    )
    if not combined and asked.relations != EVERYTHING:
        raise click.UsageError("--relation, --no-mirror and --scale go with the combined search only")
    with options.stored(version=None if combined else version_name) as runtime:
        result = _related(runtime, asked) if combined else _find(runtime, asked)
        ranked_by = getattr(result, "ranked_by", result.feature_version)
        lacking = count_without(runtime.catalog, ranked_by) if result.hits else 0
    if as_json:
        print_json(result)
    else:
        _show(query, result)
        if lacking:
            err.print(
                f"[yellow]{lacking:,} parts have no {ranked_by} vector and cannot be found;"
                f" `cadml migrate run {ranked_by}` computes them[/]"
            )


class _Asked(NamedTuple):
    """What the command line says."""

    query: str
    k: int
    metric: SpaceName
    which: PartFilter
    size_within: float | None
    explain: bool
    unit: UnitName | None
    retry: bool
    relations: Wanted


def _related(runtime: Runtime, asked: _Asked) -> CombinedResult:
    """Search with relations."""
    from cadml_core.errors import UnsupportedContent

    search, path = runtime.combined, Path(asked.query)
    if not path.is_file():
        part_id, which = _part_meant(runtime, asked)
        return search.by_id(part_id, k=asked.k, which=which, explain=asked.explain, relations=asked.relations)
    versions = search.versions()
    try:
        known = runtime.intake.take(path, versions, unit=asked.unit, retry=asked.retry)
    except UnsupportedContent:  # it may hold no surface, which only the version that is preferred needs
        known = runtime.intake.take(path, versions[-1:], unit=asked.unit)
    vectors = {name: vector.values for name, vector in known.vectors.items()}
    which = _with_size(asked, known.content)
    return search.by_content(
        known.content,
        vectors,
        k=asked.k,
        which=which,
        explain=asked.explain,
        relations=asked.relations,
    )


def _find(runtime: Runtime, asked: _Asked) -> SearchResult:
    """Search by the configured version alone."""
    path, name = Path(asked.query), runtime.feature.name
    if not path.is_file():
        part_id, which = _part_meant(runtime, asked)
        return runtime.search.by_id(
            part_id, k=asked.k, metric=asked.metric, which=which, explain=asked.explain
        )
    known = runtime.intake.take(path, [name], unit=asked.unit, retry=asked.retry)
    return runtime.search.by_values(
        known.vectors[name].values,
        k=asked.k,
        metric=asked.metric,
        which=_with_size(asked, known.content),
        explain=asked.explain,
    )


def _with_size(asked: _Asked, content: Content) -> PartFilter:
    from cadml_core.errors import InvalidInput
    from cadml_core.search.sizes import sized

    if asked.size_within is None:
        return asked.which
    box = content.document.bounding_box
    if box is None:
        raise InvalidInput(f"{asked.query} holds no geometry, so it has no size", stage="search")
    return sized(asked.which, box.extents, asked.size_within)


def _part_meant(runtime: Runtime, asked: _Asked) -> tuple[str, PartFilter]:
    """Return the id of the part that is meant, and the filter with its size."""
    from cadml_core.catalog.lookup import part_meant
    from cadml_core.errors import NotFound
    from cadml_core.search.sizes import extents_of, sized

    try:
        part_id = part_meant(runtime.catalog, asked.query).id
    except NotFound:
        raise NotFound(
            f"{asked.query!r} is neither a file nor the id of a part; `cadml parts list` shows the parts",
            stage="search",
            id=asked.query,
        ) from None
    if asked.size_within is None:
        return part_id, asked.which
    return part_id, sized(asked.which, extents_of(runtime.catalog, part_id), asked.size_within)


def _show(query: str, result: SearchResult) -> None:
    if result.note is not None:
        out.print(f"Nothing found: {escape(result.note)}.")
        return
    ranked_by = getattr(result, "ranked_by", None)
    how = f"{result.feature_version}, {ranked_by or result.metric}"
    out.print(f"Most like [bold]{escape(query)}[/] ({how})\n")
    for rank, hit in enumerate(result.hits, start=1):
        print_hit(rank, hit)
