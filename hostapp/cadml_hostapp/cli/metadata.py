"""``cadml metadata``: facts about parts from a table that is kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import Options, err, escape, json_option, out, print_json, reports_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cadml_core.intake.metadata import Unjoined

_SHOWN = 10


@click.group()
def metadata() -> None:
    """Take material, part numbers and other facts from a table."""


@metadata.command("import")
@click.argument("table", metavar="TABLE.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@json_option
@click.pass_obj
@reports_errors
def import_table(options: Options, table: Path, dry_run: bool, as_json: bool) -> None:
    """Give parts what the rows of TABLE.csv say about them.

    The first line names the columns. `path` (absolute, or the end of a path) or `name` (a file name, with or
    without its suffix) says which part a row is about; `material`, `project` and `label` are its facts, and
    every other column, `part_number` for instance, becomes an entry of its metadata. Empty cells change
    nothing. A row that may mean several parts, or that contradicts another, is listed and not taken.
    """
    from cadml_core.intake.metadata import join, take

    with (
        options.runtime(create_catalogue=False) as runtime,
        table.open(encoding="utf-8-sig", newline="") as stream,
    ):
        joined = join(stream, runtime.catalog)
        changed = len(joined.changes) if dry_run else take(runtime.catalog, joined)
    if as_json:
        print_json(
            {
                "rows": joined.rows,
                "matched": joined.matched,
                "changed": changed,
                "dry_run": dry_run,
                "ambiguous": joined.ambiguous,
                "unmatched": joined.unmatched,
            }
        )
        return
    would = "would change" if dry_run else "changed"
    out.print(f"{joined.rows:,} rows: {joined.matched:,} parts matched, {changed:,} {would}")
    _list("ambiguous", joined.ambiguous)
    _list("no part", joined.unmatched)


def _list(title: str, rows: Sequence[Unjoined]) -> None:
    for row in rows[:_SHOWN]:
        parts = f": {', '.join(part[:8] for part in row.parts[:5])}" if row.parts else ""
        err.print(f"  [yellow]{title}[/] line {row.line:,} {escape(row.key)}: {escape(row.reason)}{parts}")
    if len(rows) > _SHOWN:
        err.print(f"  ... and {len(rows) - _SHOWN:,} more; --json lists all")
