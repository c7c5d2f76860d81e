"""``cadml migrate``: give stored parts the vectors of another feature version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    progress_bar,
    reports_errors,
    table,
)

if TYPE_CHECKING:
    from cadml_core.migration.migrator import MigrationReport, MigrationStatus
    from cadml_core.migration.preview import MigrationPreview
    from cadml_core.migration.rehearsal import Rehearsal


@click.group()
def migrate() -> None:
    """Give stored parts the vectors of another feature version."""


@migrate.command()
@click.argument("to_version")
@click.option("--limit", default=100, show_default=True, help="Parts in the sample.")
@click.option("--rehearse", "rehearsed", is_flag=True, help="Also count the neighbours that would change.")
@json_option
@click.pass_obj
@reports_errors
def preview(options: Options, to_version: str, limit: int, rehearsed: bool, as_json: bool) -> None:
    """Say what a migration to TO_VERSION would change. Writes nothing."""
    from cadml_core.migration.rehearsal import rehearse

    rehearsal = None
    with options.runtime() as runtime:
        found = runtime.migrator.preview(to_version, limit=limit)
        if rehearsed:
            rehearsal = rehearse(runtime.intake, runtime.feature.name, to_version, sample=limit)
    if as_json:
        _print_preview(found, rehearsal)
        return
    _show_preview(found)
    if rehearsal is not None:
        _show_rehearsal(rehearsal)


@migrate.command()
@click.argument("to_version")
@click.option("--dry-run", is_flag=True, help="Compute everything, write nothing.")
@json_option
@click.pass_obj
@reports_errors
def run(options: Options, to_version: str, dry_run: bool, as_json: bool) -> None:
    """Give every part that lacks it a vector of TO_VERSION. Interrupted? Run it again.

    The vectors that parts have stay, so the version in use remains searchable; set FEATURE_VERSION to
    switch once all is migrated.
    """
    with options.runtime() as runtime, progress_bar("migrating") as update:
        report = runtime.migrator.run(to_version, dry_run=dry_run, progress=update)
    if as_json:
        _print_report(report)
    else:
        _show_report(report)


@migrate.command()
@json_option
@click.pass_obj
@reports_errors
def status(options: Options, as_json: bool) -> None:
    """Show what runs, what ran, and how many vectors of each version there are."""
    with options.runtime() as runtime:
        found = runtime.migrator.status()
    if as_json:
        print_json(found)
    else:
        _show_status(found)


def _print_preview(found: MigrationPreview, rehearsal: Rehearsal | None) -> None:
    """Print what the route answers; a rehearsal, which the route does not offer, is one key more."""
    import msgspec

    print_json(found if rehearsal is None else {**msgspec.to_builtins(found), "rehearsal": rehearsal})


def _print_report(report: MigrationReport) -> None:
    """Print what the route answers; its hint on an old admin token has no meaning here."""
    import msgspec

    from cadml_hostapp.routes.migration.schemas import MigrationReportForAdmin

    print_json(MigrationReportForAdmin(**msgspec.structs.asdict(report)))


def _show_preview(found: MigrationPreview) -> None:
    sample = len(found.preview_items)
    out.print(f"{found.to_migrate:,} parts lack a {found.to_version} vector; a sample of {sample}:")
    methods = [item.method for item in found.preview_items]
    for method in sorted(set(methods)):
        out.print(f"  {methods.count(method)} {method}")
    changes = found.estimated_dimension_changes
    out.print(f"  {changes.positive} grow, {changes.negative} shrink, {changes.zero} keep their length")
    for warning in found.warnings:
        out.print(f"  [yellow]{warning}[/]")
    if not found.migration_feasible:
        reasons = {item.reason for item in found.preview_items if item.reason}
        out.print("[red]Not every part can be migrated:[/] " + escape("; ".join(sorted(reasons))))


def _show_rehearsal(found: Rehearsal) -> None:
    out.print(
        f"Rehearsed with {found.sampled} parts among {found.population:,}: of the {found.k} neighbours in"
        f" {found.from_version}, {found.mean_changed:.1f} on average would be others in {found.to_version};"
        f" {found.unchanged_share:.0%} of the parts keep all of theirs."
    )


def _show_report(report: MigrationReport) -> None:
    word = "would be given" if report.dry_run else "were given"
    done = report.recomputed + report.by_name
    out.print(f"{done:,} of {report.total:,} parts {word} a {report.to_version} vector.")
    out.print(f"  {report.recomputed:,} recomputed from what was read, {report.by_name:,} by slot name")
    for failure in report.failures[:10]:
        out.print(f"  [red]failed[/] {escape(failure.id)}: {escape(failure.reason)}")


def _show_status(found: MigrationStatus) -> None:
    for version, count in found.versions.items():
        out.print(f"{count:,} {version} vectors")
    shown = table("to", "status", "total", "done", "failed", "started")
    for entry in found.history:
        done = f"{entry.recomputed + entry.by_name:,}"
        shown.add_row(
            entry.to_version, entry.status, f"{entry.total:,}", done, f"{entry.failed:,}", entry.started
        )
    if found.history:
        out.print(shown)
