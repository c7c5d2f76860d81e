"""``cadml failures``: which files could not be read when last tried, and why."""

from __future__ import annotations

from collections import Counter

import click

from cadml_hostapp.cli.console import Options, escape, json_option, out, print_json, reports_errors


@click.command()
@json_option
@click.pass_obj
@reports_errors
def failures(options: Options, as_json: bool) -> None:
    """List the files that could not be read, and why. Reads none of them again.

    An entry goes when `cadml ingest` has read its file, or when `cadml parts prune` finds it gone.
    """
    from cadml_core.catalog.unread import UnreadFiles

    with options.stored() as runtime:
        found = UnreadFiles(runtime.catalog).all()
    if as_json:
        print_json([file._asdict() for file in found])
        return
    if not found:
        out.print("No file that was ingested is waiting for a repair.")
    for file in found:
        out.print(f"[red]{file.code}[/] {escape(file.path)}\n  {escape(file.message)} [dim]({file.at})[/]")
    if len(found) > 1:
        counts = Counter(file.code for file in found).most_common()
        out.print(f"{len(found):,} files: " + ", ".join(f"{count:,} {code}" for code, count in counts))
