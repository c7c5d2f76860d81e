"""``cadml export`` and ``cadml import``: vectors out of the catalogue, and back."""

from __future__ import annotations

from pathlib import Path

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    show_missing,
)


@click.command()
@click.argument("file", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", "version_name", help="Feature version; the configured one by default.")
@json_option
@click.pass_obj
@reports_errors
def export(options: Options, file: Path, version_name: str | None, as_json: bool) -> None:
    """Write the parts and their vectors to OUT: .npz, .csv or .jsonl.

    That is ids, paths, labels, raw values and embeddings. Only you may open the file. In .csv, text that
    begins like a formula (with =, +, -, @, a tab or a line break) or with an apostrophe gets an apostrophe
    in front, so that no spreadsheet program computes it; `cadml import` takes it off again.
    """
    from cadml_core.intake import transfer

    with options.runtime(version=version_name) as runtime, progress_bar("collecting values") as update:
        feature = runtime.feature
        table, missing = transfer.collect(runtime.intake, feature, update)
    transfer.write(table, file)
    show_missing(missing, feature.name)
    if as_json:
        answer = {"file": str(file), "parts": len(table), "feature_version": feature.name}
        print_json({**answer, "missing": [{"id": part.id, "reason": reason} for part, reason in missing]})
    else:
        out.print(f"{len(table):,} parts with their {feature.name} vectors written to {escape(str(file))}")


@click.command("import")
@click.argument("file", metavar="IN", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@reports_errors
def import_(options: Options, file: Path, as_json: bool) -> None:
    """Read back what `cadml export` wrote; parts are recognised by id."""
    from cadml_core.errors import InvalidInput
    from cadml_core.intake import transfer

    table = transfer.read(file)
    with options.runtime() as runtime, progress_bar("importing") as update:
        feature = runtime.registry.features.named(table.version, stage="import")
        expected = tuple(slot.name for slot in feature.slots)
        if table.slots != expected:
            raise InvalidInput(
                f"{file} does not have the slots of {table.version}: found {', '.join(table.slots)};"
                f" expected {', '.join(expected)}",
                stage="import",
            )
        counts = transfer.store(runtime.catalog, table, feature, update)
    if as_json:
        print_json({"total": len(table), "feature_version": table.version, **counts})
    else:
        told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        out.print(f"{len(table):,} parts read: {told}")
