"""``cadml ingest``: files and folders into the catalogue."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    EXIT_REFUSED,
    Options,
    err,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    retry_option,
    unit_option,
)

if TYPE_CHECKING:
    from cadml_core.contracts.formats import UnitName
    from cadml_core.intake.ingest_report import (
        IngestFailure,
        IngestOptions,
        IngestProgress,
        IngestSummary,
        LabelSource,
    )
    from cadml_core.runtime import Runtime

_SHOWN_FAILURES = 10


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--label-from", type=click.Choice(["parent"]), help="Label parts with their folder's name.")
@click.option("--material", help="Material of all these parts.")
@click.option("--project", help="Project of all these parts.")
@click.option("--version", "versions", multiple=True, help="Further feature versions to compute; repeatable.")
@click.option("--workers", type=int, help="Reader processes; one per core by default.")
@click.option("--follow-links", is_flag=True, help="Follow links that lead out of a folder.")
@click.option("--pictures-only", is_flag=True, help="Draw stored parts below PATHS that have no picture yet.")
@click.option("--strict", is_flag=True, help="Exit 1 where a file could not be read.")
@unit_option
@retry_option
@json_option
@click.pass_obj
@reports_errors
def ingest(
    options: Options,
    paths: tuple[Path, ...],
    label_from: LabelSource | None,
    material: str | None,
    project: str | None,
    versions: tuple[str, ...],
    workers: int | None,
    follow_links: bool,
    pictures_only: bool,
    strict: bool,
    unit: UnitName | None,
    retry: bool,
    as_json: bool,
) -> None:
    """Read files and folders into the catalogue.

    What has not changed is not read again. Folders are searched for files whose suffix a format adapter
    knows; a link that leads out of its folder is listed, and followed with --follow-links only. A file
    that cannot be read is listed with its error code and costs the others nothing; it is not read again
    until its content, its reader or a limit changes, or --retry asks for it.
    Interrupted? Run it again.
    """
    from cadml_core.errors import NotFound
    from cadml_core.intake.ingest_report import IngestOptions

    if missing := [str(path) for path in paths if not path.exists()]:
        raise NotFound(f"there is no file or folder {', '.join(missing)}", stage="ingest", paths=missing)
    with options.runtime(parse_workers=workers) as runtime:
        if pictures_only:
            _draw(runtime, paths, as_json=as_json)
            return
        required = dict.fromkeys((runtime.settings.feature_version, *versions))
        wanted = IngestOptions(
            versions=tuple(required),
            optional=runtime.extra,
            label_from=label_from,
            material=material,
            project=project,
            unit=unit,
            retry=retry,
            follow_links=follow_links,
        )
        summary = run(runtime, paths, wanted)
    if as_json:
        print_json(summary)
    else:
        show(summary)
    if strict and summary.failed:
        sys.exit(EXIT_REFUSED)


def run(runtime: Runtime, paths: tuple[Path, ...], wanted: IngestOptions) -> IngestSummary:
    """Ingest with a progress bar on a terminal."""
    from cadml_core.intake.ingest import ingest as ingest_files

    with progress_bar("reading files") as update:

        def progress(step: IngestProgress) -> None:
            update(step.done, step.total)

        return ingest_files(paths, intake=runtime.intake, options=wanted, progress=progress)


def _draw(runtime: Runtime, paths: tuple[Path, ...], *, as_json: bool) -> None:
    from cadml_core.catalog.paths import text_to_path

    roots = [path.resolve() for path in paths]
    parts = [
        part
        for part in runtime.catalog.parts()
        if part.path and any(text_to_path(part.path).is_relative_to(root) for root in roots)
    ]
    with progress_bar("drawing parts") as update:
        summary = runtime.drawings.complete(parts, update)
    if as_json:
        print_json(summary)
        return
    out.print(
        f"{summary.total:,} contents: {summary.made:,} drawn, {summary.current:,} had a picture,"
        f" {summary.failed:,} without"
    )
    for path, reason in summary.failures[:_SHOWN_FAILURES]:
        err.print(f"  {escape(path)}\n    {escape(reason)}")
    if len(summary.failures) > _SHOWN_FAILURES:
        err.print(f"  ... and {len(summary.failures) - _SHOWN_FAILURES} more; --json lists all")


def show(summary: IngestSummary) -> None:
    """Print what an ingest did, and why files were refused."""
    counts = {
        name: getattr(summary, name) for name in ("added", "replaced", "updated", "unchanged", "failed")
    }
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    out.print(f"{summary.total:,} files: {told or 'no file here that a reader knows by its suffix'}")
    for skipped in summary.skipped:
        err.print(f"Passed over: {skipped.count:,} {skipped.suffix}; {skipped.advice}")
    for doubt in summary.doubts[:_SHOWN_FAILURES]:
        err.print(f"  [yellow]unit?[/] {escape(doubt.path)}: {escape(doubt.message)}")
    if len(summary.doubts) > _SHOWN_FAILURES:
        err.print(f"  ... and {len(summary.doubts) - _SHOWN_FAILURES} more; --json lists all")
    if not summary.failures:
        return
    codes = Counter(failure.code for failure in summary.failures)
    err.print("Refused: " + ", ".join(f"{count} {code}" for code, count in codes.most_common()))
    for failure in summary.failures[:_SHOWN_FAILURES]:
        err.print(_told(failure))
    if len(summary.failures) > _SHOWN_FAILURES:
        err.print(f"  ... and {len(summary.failures) - _SHOWN_FAILURES} more; `cadml failures` lists all")


def _told(failure: IngestFailure) -> str:
    return f"  [red]{failure.code}[/] {escape(failure.path)}\n    {escape(failure.message)}"
