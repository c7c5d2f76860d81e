"""``cadml demo``: make sample parts and others from them, and report which are found and told rightly."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
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
    from rich.table import Table

    from cadml_core.intake.ingest_report import IngestSummary
    from cadml_hostapp.demo.findings import Finding
    from cadml_hostapp.demo.planted import Samples

OUTCOMES = {"found": "green", "missed": "yellow", "wrong": "red"}
"""How a pair was found, and the colour that says so."""


@click.command()
@click.option("--serve", "go_on", is_flag=True, help="Go on to an HTTP server over the sample parts.")
@json_option
@click.pass_context
@reports_errors
def demo(ctx: click.Context, go_on: bool, as_json: bool) -> None:
    """Make sample parts, search them, and report what was found.

    About 100 files in four formats. Some are made from others: moved, turned, mirrored, in another unit or
    format, edited, in an assembly. Each is found (the other part is among the first hits, and the relation
    to it is right), missed, or wrong (certified as what it is not). Exits 1 where one is wrong, or missed
    for a reason that is not known. The samples and their catalogue are in the folder `demo` of the data
    folder; your own catalogue is not changed.
    """
    from cadml_core.intake.ingest_report import IngestOptions
    from cadml_core.runtime import build_runtime
    from cadml_hostapp.demo.findings import look_for
    from cadml_hostapp.demo.planted import write_samples
    from cadml_hostapp.demo.searches import searching

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
        wanted = IngestOptions(versions=versions, optional=runtime.extra, label_from="parent")
        summary = ingest_command.run(runtime, (samples.folder,), wanted)
        with searching(runtime, samples.folder) as searches, progress_bar("comparing parts") as update:
            findings = look_for(runtime, searches, samples, update)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_answer(samples, summary, findings, seconds))
    else:
        _report(samples, summary, findings, seconds)
        _go_on(folder, findings, own=own.database_url != "" or own.catalogue_path.exists())
    if go_on:
        ctx.invoke(serve, data_dir=str(folder))
    sys.exit(EXIT_REFUSED if any(finding.surprising for finding in findings) else 0)


def _answer(
    samples: Samples, summary: IngestSummary, findings: list[Finding], seconds: float
) -> dict[str, Any]:
    import msgspec

    return {
        "folder": str(samples.folder),
        "files": samples.files,
        "ingest": summary,
        "planted": [{**msgspec.to_builtins(finding), "found": finding.found} for finding in findings],
        **{outcome: _count(findings, outcome) for outcome in ("found", "missed", "wrong")},
        "seconds": round(seconds, 2),
    }


def _report(samples: Samples, summary: IngestSummary, findings: list[Finding], seconds: float) -> None:

    out.print(f"[bold]{samples.files} sample files[/] in {escape(str(samples.folder))}")
    out.print(f"{summary.added} read and added to a catalogue, {summary.failed} refused:")
    for failure in summary.failures:
        out.print(f"  [yellow]{failure.code}[/] {escape(Path(failure.path).name)}: {escape(failure.message)}")
    out.print("\n[bold]Parts made from others, what was said of them, and the rank of the other:[/]\n")
    out.print(_shown(findings))
    told = [f"{count} {outcome}" for outcome in OUTCOMES if (count := _count(findings, outcome))]
    out.print(f"\n[bold]{', '.join(told)}[/] of {len(findings)} in {seconds:.1f} s")
    _tell_limits(findings)


def _shown(findings: list[Finding]) -> Table:
    from cadml_hostapp.demo.plan import EXPECTED

    versions = list(findings[0].ranks)
    shown = table("part", "made as", *versions, "")
    for finding in findings:
        ranks = [str(finding.ranks.get(version) or "-") for version in versions]
        told = EXPECTED[finding.relation].told
        query, partner = (escape(Path(name).name) for name in (finding.query, finding.partner))
        shown.add_row(query, told, *ranks, f"[{OUTCOMES[finding.outcome]}]{finding.outcome}[/]")
        shown.add_row(f"[dim] of {partner}[/]", f"[dim]said: {escape(finding.words or finding.why)}[/]")
    return shown


def _count(findings: list[Finding], outcome: str) -> int:
    return sum(finding.outcome == outcome for finding in findings)


def _tell_limits(findings: list[Finding]) -> None:
    """Say why pairs were missed, and which were missed or told wrongly for no reason that is known."""
    from cadml_hostapp.demo.plan import LIMITS

    for limit, count in Counter(finding.limit for finding in findings if finding.limit).items():
        out.print(f"  {count} missed: {LIMITS[limit]}")
    for finding in findings:
        if finding.surprising:
            out.print(f"  [red]{finding.outcome}[/] {escape(finding.query)}: {escape(finding.why)}")
    out.print("  docs/explanation/limits.md tells what is found, and what is not.")


def _go_on(folder: Path, findings: list[Finding], *, own: bool) -> None:
    """Say how to search the samples, from wherever the user is, and how to begin with other files."""
    before = f"--data-dir {shlex.quote(str(folder))} " if own else ""  # else searches take the demo's anyway
    example = shlex.quote(str(folder / "parts" / findings[0].query))
    out.print("\nSearch among the samples:\n")
    out.print(f"  cadml {escape(before)}search {escape(example)} --explain")
    out.print("\nNow with your own files:\n")
    out.print("  cadml ingest FOLDER --label-from parent")
    out.print("  cadml search FILE --explain")
