"""``cadml extract``: the feature vector of one file; stores nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
from rich.markup import escape
from rich.table import Table

from cadml_core.contracts.features import FeatureVersion
from cadml_core.isolation.pool import ReaderPool
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.reading.detection import detect
from cadml_core.reading.limits import read_limits
from cadml_core.reading.reading import Reading
from cadml_core.settings import Settings
from cadml_hostapp.cli.console import Options, json_option, out, print_json, reports_errors


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
@click.option("--strict", is_flag=True, help="Refuse a file that holds no geometry.")
@json_option
@click.pass_obj
@reports_errors
def extract(options: Options, file: Path, version_name: str | None, strict: bool, as_json: bool) -> None:
    """Read FILE and show its features and what was found in it. Stores nothing."""
    settings = options.settings(feature_version=version_name)
    registry = load_plugins(settings).registry
    version = registry.features[settings.feature_version]
    reading = read_one(file, settings, registry, version)
    if strict:
        reading.require_geometry()
    if as_json:
        print_json(_answer(reading, version))
    else:
        _show(file, reading, version)


def read_one(file: Path, settings: Settings, registry: Registry, version: FeatureVersion) -> Reading:
    """Read a single file in a process of its own, which loads no more than that file's format needs.

    Raises:
        CadmlError: As ``ReaderPool.read``.
    """
    adapter = detect(file, registry.formats)
    formats, features = {adapter.name: adapter}, {version.name: version}
    with ReaderPool(formats, features, limits=read_limits(settings), workers=1) as readers:
        return readers.read(file, [version.name])


def _answer(reading: Reading, version: FeatureVersion) -> dict[str, Any]:
    document = msgspec.to_builtins(reading.document)
    return {
        "format": reading.format,
        "sha256": reading.sha256,
        "feature_version": version.name,
        "slots": [slot.name for slot in version.slots],
        "values": reading.vectors[version.name],
        "document": document,
        "warnings": document.pop("warnings", []),
    }


def _show(file: Path, reading: Reading, version: FeatureVersion) -> None:
    document = reading.document
    out.print(f"[bold]{escape(file.name)}[/]  {reading.format}, {reading.size:,} bytes")
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
    table = Table("slot", "value", "unit", "meaning", box=None, header_style="bold")
    for slot, value in zip(version.slots, reading.vectors[version.name], strict=True):
        table.add_row(slot.name, f"{value:.6g}", "" if slot.unit == "1" else slot.unit, slot.description)
    out.print(table)
