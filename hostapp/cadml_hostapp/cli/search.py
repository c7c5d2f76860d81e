"""``cadml search``: the parts most like a file, or like a part of the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    from cadml_core.catalog.records import PartFilter
    from cadml_core.contracts.formats import UnitName
    from cadml_core.runtime import Runtime
    from cadml_core.search.questions import SearchResult
    from cadml_core.search.spaces import SpaceName

METRICS = ("scaled", "cosine_raw")
"""The values of ``SpaceName``."""


@click.command()
@click.argument("query", metavar="FILE-or-ID")
@click.option("-k", "--top", "k", default=10, show_default=True, help="How many hits.")
@click.option("--metric", type=click.Choice(METRICS), default="scaled", show_default=True)
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
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
    unit: UnitName | None,
    retry: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Find the parts most like FILE, or like the part with this ID (its beginning is enough).

    A file that is in the catalogue itself comes first, with score 1. Stores nothing.
    """
    from cadml_core.catalog.counts import count_without
    from cadml_core.catalog.records import PartFilter

    which = PartFilter(format=format_name, material=material, project=project, label=label, text=text)
    with options.stored(version=version_name) as runtime:
        result = _find(runtime, query, k, metric, which, size_within, explain, unit=unit, retry=retry)
        lacking = count_without(runtime.catalog, result.feature_version) if result.hits else 0
    if as_json:
        print_json(result)
    else:
        _show(query, result)
        if lacking:
            version = result.feature_version
            err.print(
                f"[yellow]{lacking:,} parts have no {version} vector and cannot be found;"
                f" `cadml migrate run {version}` computes them[/]"
            )


def _find(
    runtime: Runtime,
    query: str,
    k: int,
    metric: SpaceName,
    which: PartFilter,
    size_within: float | None,
    explain: bool,
    *,
    unit: UnitName | None,
    retry: bool,
) -> SearchResult:
    from cadml_core.catalog.lookup import part_meant
    from cadml_core.errors import InvalidInput, NotFound
    from cadml_core.search.sizes import extents_of, sized

    path = Path(query)
    if path.is_file():
        name = runtime.feature.name
        known = runtime.intake.take(path, [name], unit=unit, retry=retry)
        if size_within is not None:
            box = known.content.document.bounding_box
            if box is None:
                raise InvalidInput(f"{query} holds no geometry, so it has no size", stage="search")
            which = sized(which, box.extents, size_within)
        values = known.vectors[name].values
        return runtime.search.by_values(values, k=k, metric=metric, which=which, explain=explain)
    try:
        part_id = part_meant(runtime.catalog, query).id
    except NotFound:
        raise NotFound(
            f"{query!r} is neither a file nor the id of a part; `cadml parts list` shows the parts",
            stage="search",
            id=query,
        ) from None
    if size_within is not None:
        which = sized(which, extents_of(runtime.catalog, part_id), size_within)
    return runtime.search.by_id(part_id, k=k, metric=metric, which=which, explain=explain)


def _show(query: str, result: SearchResult) -> None:
    if result.note is not None:
        out.print(f"Nothing found: {escape(result.note)}.")
        return
    out.print(f"Most like [bold]{escape(query)}[/] ({result.feature_version}, {result.metric})\n")
    for rank, hit in enumerate(result.hits, start=1):
        print_hit(rank, hit)
