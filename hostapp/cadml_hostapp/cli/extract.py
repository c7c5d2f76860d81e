"""``cadml extract``: the feature vector of one file; stores nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from cadml_core.contracts.features import FeatureVersion
    from cadml_core.contracts.formats import UnitName
    from cadml_core.intake.remembered import Known


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
@click.option("--strict", is_flag=True, help="Refuse a file that holds no geometry.")
@unit_option
@retry_option
@json_option
@click.pass_obj
@reports_errors
def extract(
    options: Options,
    file: Path,
    version_name: str | None,
    strict: bool,
    unit: UnitName | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Read FILE and show its features and what was found in it. Stores nothing."""
    from cadml_core.errors import EmptyDocument

    with options.runtime(version=version_name, create_catalogue=False) as runtime:
        version = runtime.feature
        known = runtime.intake.take(file, [version.name], unit=unit, retry=retry)
    if strict and known.content.document.empty:
        raise EmptyDocument("the file is readable, but holds no geometry", format=known.content.format)
    if as_json:
        print_json(_answer(known, version))
    else:
        _show(file, known, version)


def _answer(known: Known, version: FeatureVersion) -> dict[str, Any]:
    from cadml_hostapp.routes.analyze.schemas import document_answer

    document = known.content.document
    return {
        "format": known.content.format,
        "sha256": known.content.sha256,
        "feature_version": version.name,
        "slots": [slot.name for slot in version.slots],
        "values": known.vectors[version.name].values.tolist(),
        "document": document_answer(document),
        "warnings": document.warnings,
    }


def _show(file: Path, known: Known, version: FeatureVersion) -> None:
    content = known.content
    document = content.document
    out.print(f"[bold]{escape(file.name)}[/]  {content.format}, {content.size:,} bytes")
    if document.bounding_box:
        extents = " × ".join(f"{extent:g}" for extent in document.bounding_box.extents)
        out.print(
            f"  extents {extents} mm" + (f" (unit of the file: {document.unit})" if document.unit else "")
        )
    kinds = sorted(document.entity_counts.items(), key=lambda item: -item[1])
    out.print(
        f"  {document.entity_count:,} entities: "
        + escape(", ".join(f"{n:,} {kind}" for kind, n in kinds[:8]))
    )
    for warning in document.warnings:
        out.print(f"  [yellow]note[/] {escape(warning)}")
    shown = table("slot", "value", "unit", "meaning")
    for slot, value in zip(version.slots, known.vectors[version.name].values.tolist(), strict=True):
        shown.add_row(slot.name, f"{value:.6g}", "" if slot.unit == "1" else slot.unit, slot.description)
    out.print(shown)
