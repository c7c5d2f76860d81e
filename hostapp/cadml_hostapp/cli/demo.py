"""``cadml demo``: make sample parts with known duplicates, and report which ones the search finds."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cadml_hostapp.cli import ingest as ingest_command
from cadml_hostapp.cli.console import (
    DEMO_FOLDER,
    EXIT_REFUSED,
    Options,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    table,
)
from cadml_hostapp.cli.serve import serve

if TYPE_CHECKING:
    from cadml_core.intake.ingest_report import IngestSummary
    from cadml_hostapp.demo.findings import Finding
    from cadml_hostapp.demo.planted import Samples


@click.command()
@click.option("--serve", "go_on", is_flag=True, help="Go on to an HTTP server over the sample parts.")
@json_option
@click.pass_context
@reports_errors
def demo(ctx: click.Context, go_on: bool, as_json: bool) -> None:
    """Make sample parts, search them, and report what was found.

    About 60 files in four formats, with known duplicates among them. The samples and their catalogue are
    in the folder `demo` of the data folder; your own catalogue is not changed.
    """
    from cadml_core.intake.ingest_report import IngestOptions
    from cadml_core.runtime import build_runtime
    from cadml_hostapp.demo.findings import look_for
    from cadml_hostapp.demo.planted import write_samples

    start = time.perf_counter()
    options: Options = ctx.obj
    own = options.settings()
    folder = own.data_path / DEMO_FOLDER
    settings = options.settings(data_dir=str(folder), database_url="", feature_version="v4")
    for stale in folder.glob("catalogue.sqlite3*"):
        stale.unlink()
    with build_runtime(settings) as runtime:
        runtime.readers.start()
        with progress_bar("making sample parts") as update:
            samples = write_samples(folder / "parts", update)
        # Also in the version that is configured, which `--serve` and later commands use.
        versions = tuple(dict.fromkeys((settings.feature_version, own.feature_version)))
        wanted = IngestOptions(
            versions=versions, optional=settings.feature_versions_extra, label_from="parent"
        )
        summary = ingest_command.run(runtime, (samples.folder,), wanted)
        findings = look_for(runtime, samples)
    seconds = time.perf_counter() - start
    missed = [finding for finding in findings if not finding.found]
    if as_json:
        print_json(_answer(samples, summary, findings, seconds))
    else:
        _report(samples, summary, findings, seconds)
        _go_on(folder, findings, own=own.database_url != "" or own.catalogue_path.exists())
    if go_on:
        ctx.invoke(serve, data_dir=str(folder))
    sys.exit(EXIT_REFUSED if missed else 0)


def _answer(
    samples: Samples, summary: IngestSummary, findings: list[Finding], seconds: float
) -> dict[str, Any]:
    import msgspec

    return {
        "folder": str(samples.folder),
        "files": samples.files,
        "ingest": summary,
        "planted": [{**msgspec.to_builtins(finding), "found": finding.found} for finding in findings],
        "found": sum(finding.found for finding in findings),
        "missed": sum(not finding.found for finding in findings),
        "seconds": round(seconds, 2),
    }


def _report(samples: Samples, summary: IngestSummary, findings: list[Finding], seconds: float) -> None:
    from cadml_hostapp.demo.planted import RELATIONS

    out.print(f"[bold]{samples.files} sample files[/] in {escape(str(samples.folder))}")
    out.print(f"{summary.added} read and added to a catalogue, {summary.failed} refused:")
    for failure in summary.failures:
        out.print(f"  [yellow]{failure.code}[/] {escape(Path(failure.path).name)}: {escape(failure.message)}")
    out.print("\n[bold]Known pairs among them, and whether the search found them:[/]\n")
    shown = table("part", "is", "of", "rank", "score", "")
    for finding in findings:
        shown.add_row(
            escape(finding.query),
            RELATIONS[finding.relation],
            escape(finding.partner),
            "-" if finding.rank is None else str(finding.rank),
            "-" if finding.score is None else f"{finding.score:.3f}",
            "[green]found[/]" if finding.found else "[red]missed[/]",
        )
    out.print(shown)
    found = sum(finding.found for finding in findings)
    out.print(f"\n[bold]{found} of {len(findings)} found[/] in {seconds:.1f} s")


def _go_on(folder: Path, findings: list[Finding], *, own: bool) -> None:
    """Say how to search the samples, from wherever the user is, and how to begin with other files."""
    before = f"--data-dir {shlex.quote(str(folder))} " if own else ""  # else searches take the demo's anyway
    example = shlex.quote(str(folder / "parts" / findings[0].query))
    out.print("\nSearch among the samples:\n")
    out.print(f"  cadml {escape(before)}search {escape(example)} --explain")
    out.print("\nNow with your own files:\n")
    out.print("  cadml ingest FOLDER --label-from parent")
    out.print("  cadml search FILE --explain")
