"""``cadml export`` and ``cadml import``: vectors out of the catalogue, and back."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from rich.markup import escape

from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput
from cadml_core.intake import transfer
from cadml_core.plugins.loader import load_plugins
from cadml_hostapp.cli.console import Options, json_option, out, print_json, progress_bar, reports_errors


@click.command()
@click.argument("file", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
@json_option
@click.pass_obj
@reports_errors
def export(options: Options, file: Path, version_name: str | None, as_json: bool) -> None:
    """Write ids, paths, labels, raw values and embeddings to OUT: .npz, .csv or .jsonl."""
    settings = options.settings(feature_version=version_name)
    feature = load_plugins(settings).registry.features[settings.feature_version]
    with Catalog.open(settings.effective_database_url) as catalog:
        table = transfer.collect(catalog, feature)
    transfer.write(table, file)
    if as_json:
        print_json({"file": str(file), "parts": len(table), "feature_version": feature.name})
    else:
        out.print(f"{len(table):,} parts with their {feature.name} vectors written to {escape(str(file))}")


@click.command("import")
@click.argument("file", metavar="IN", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@reports_errors
def import_(options: Options, file: Path, as_json: bool) -> None:
    """Read back what `cadml export` wrote; parts are recognised by id."""
    settings = options.settings()
    features = load_plugins(settings).registry.features
    table = transfer.read(file)
    expected = tuple(slot.name for slot in features[table.version].slots)
    if table.slots != expected:
        raise InvalidInput(
            f"{file} does not have the slots of {table.version}: found {', '.join(table.slots)};"
            f" expected {', '.join(expected)}",
            stage="import",
        )
    with Catalog.open(settings.effective_database_url) as catalog, progress_bar("importing") as update:
        counts = transfer.store(catalog, table, update)
    if as_json:
        print_json({"total": len(table), "feature_version": table.version, **counts})
    else:
        told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        out.print(f"{len(table):,} parts read: {told}")
