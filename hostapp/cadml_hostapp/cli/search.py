"""``cadml search``: the parts most like a file, or like a part of the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    retry_option,
    table,
    unit_option,
)

if TYPE_CHECKING:
    from cadml_core.catalog.records import PartFilter
    from cadml_core.contracts.formats import UnitName
    from cadml_core.documents.arrays import FloatVector
    from cadml_core.runtime import Runtime
    from cadml_core.search.questions import Hit, SearchResult
    from cadml_core.search.spaces import SpaceName

METRICS = ("scaled", "cosine_raw")
"""The values of ``SpaceName``."""
_SHOWN_SLOTS = 3


@click.command()
@click.argument("query", metavar="FILE-or-ID")
@click.option("-k", "--top", "k", default=10, show_default=True, help="How many hits.")
@click.option("--metric", type=click.Choice(METRICS), default="scaled", show_default=True)
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
@click.option("--format", "format_name", help="Only parts of this format.")
@click.option("--material", help="Only parts of this material.")
@click.option("--project", help="Only parts of this project.")
@click.option("--label", help="Only parts with this label.")
@click.option("--explain", is_flag=True, help="Say which slots make the difference.")
@unit_option
@retry_option
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
    explain: bool,
    unit: UnitName | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Find the parts most like FILE, or like the part with this ID.

    A file that is in the catalogue itself comes first, with score 1.
    """
    from cadml_core.catalog.records import PartFilter

    which = PartFilter(format=format_name, material=material, project=project, label=label)
    with options.runtime(version=version_name) as runtime:
        values = _values_of_file(runtime, Path(query), unit, retry) if Path(query).is_file() else None
        if values is None:
            result = _by_id(runtime, query, k, metric, which, explain)
        else:
            result = runtime.search.by_values(values, k=k, metric=metric, which=which, explain=explain)
    if as_json:
        print_json(result)
    else:
        _show(query, result)


def _values_of_file(runtime: Runtime, path: Path, unit: UnitName | None, retry: bool) -> FloatVector:
    name = runtime.feature.name
    return runtime.intake.take(path, [name], unit=unit, retry=retry).vectors[name].values


def _by_id(
    runtime: Runtime, query: str, k: int, metric: SpaceName, which: PartFilter, explain: bool
) -> SearchResult:
    from cadml_core.errors import NotFound

    try:
        return runtime.search.by_id(query, k=k, metric=metric, which=which, explain=explain)
    except NotFound as error:
        if error.context.get("version"):
            raise
        raise NotFound(
            f"{query!r} is neither a file nor the id of a part", stage="search", id=query
        ) from None


def _show(query: str, result: SearchResult) -> None:
    if not result.hits:
        out.print("Nothing found. `cadml ingest FOLDER` fills the catalogue.")
        return
    out.print(f"Most like [bold]{escape(query)}[/] ({result.feature_version}, {result.metric})\n")
    shown = table("", "score", "part", "format", "label")
    shown.add_column("path", overflow="fold")
    for rank, hit in enumerate(result.hits, start=1):
        shown.add_row(
            str(rank),
            f"{hit.score:.3f}",
            escape(hit.name),
            hit.format or "",
            escape(hit.label or ""),
            escape(hit.path or hit.id),
        )
        if hit.explanation is not None:
            shown.add_row("", "", "", "", "", f"[dim]{escape(_why(hit))}[/]")
    out.print(shown)


def _why(hit: Hit) -> str:
    largest = sorted(hit.explanation or (), key=lambda item: -item.share)[:_SHOWN_SLOTS]
    told = [
        f"{item.slot} {item.query:.4g} / {item.hit:.4g} ({item.share:.0%})"
        for item in largest
        if item.share > 0
    ]
    return "differs in " + ", ".join(told) if told else "no difference"
