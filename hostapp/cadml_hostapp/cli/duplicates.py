"""``cadml duplicates``: which parts of the catalogue are the same, and what people decided of them."""

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
    progress_bar,
    reports_errors,
)

if TYPE_CHECKING:
    from cadml_core.duplicates.journal import Run
    from cadml_core.duplicates.report import Report, ReportedGroup
    from cadml_core.duplicates.scope import Scope
    from cadml_core.runtime import Runtime

KINDS = (
    *("identical", "same", "mirrored", "scaled", "multiple", "contains", "same_within_mesh_error"),
    "similar",
)
FOLDER = click.Path(file_okay=False, path_type=Path)
OUT = click.Path(dir_okay=False, path_type=Path)
_SHOWN_PARTS = 6


@click.group(invoke_without_command=True)
@click.option("--folder", type=FOLDER, help="Only parts below this folder.")
@click.option("--project", help="Only parts of this project.")
@click.option("--format", "formats", multiple=True, help="Only parts of this format; twice: across both.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only groups of this kind.")
@click.option("--mirror/--no-mirror", default=True, help="Whether mirror images count.")
@click.option("--scale/--no-scale", default=True, help="Whether other sizes count.")
@click.option("--same-material", is_flag=True, help="Only parts that agree in their material.")
@click.option("--across-projects", is_flag=True, help="Leave out groups within one project.")
@click.option("--decided", is_flag=True, help="Show groups as well that are decided.")
@click.option("--prefer", type=FOLDER, help="A folder whose parts lead their groups where they can.")
@click.option("--meshes/--no-meshes", default=True, help="Read meshes where only they can decide.")
@click.option("--run/--no-run", "wanted", default=True, help="Whether to compare what is new first.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Most groups shown.")
@click.option("--html", type=OUT, help="Write the groups as one HTML file.")
@click.option("--csv", "table", type=OUT, help="Write the groups as CSV, one row a part.")
@click.option("--plan", type=OUT, help="Write what could be put aside: a script (.sh) or .csv.")
@json_option
@click.pass_context
@reports_errors
def duplicates(
    ctx: click.Context,
    folder: Path | None,
    prefer: Path | None,
    wanted: bool,
    meshes: bool,
    limit: int,
    html: Path | None,
    table: Path | None,
    plan: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Find parts that are the same: by proof, in groups, each with a part to keep. Removes no file.

    Compares what is new since the last time; interrupted, it goes on where it was. With --json all groups.
    """
    if ctx.invoked_subcommand is not None:
        return
    scope = _scope(folder, prefer, **asked)
    options: Options = ctx.obj
    with options.stored() as runtime:
        if wanted:
            with progress_bar("comparing") as update:
                runtime.duplicates.run(meshes=meshes, progress=update)
        report = _report(runtime, scope, limit, everything=bool(as_json or html))
        _write(runtime, scope, report, html=html, table=table, plan=plan)
    if as_json:
        from cadml_hostapp.routes.duplicates.schemas import groups_answer

        print_json(groups_answer(report, 0))
        return
    _show(report, limit)
    for path in filter(None, (html, table, plan)):
        out.print(f"Written: {escape(str(path))}")


@duplicates.command()
@json_option
@click.pass_obj
@reports_errors
def runs(options: Options, as_json: bool) -> None:
    """Show the last runs, and how far the one is that works now."""
    with options.stored() as runtime:
        found = runtime.duplicates.runs()
    if as_json:
        from cadml_hostapp.routes.duplicates.schemas import RunList

        print_json(RunList(found))
        return
    for run in found:
        out.print(f"{run.id:>4}  {run.started}  {run.status:11}  {_of_run(run)}")


@duplicates.command()
@click.argument("run", type=int)
@click.pass_obj
@reports_errors
def cancel(options: Options, run: int) -> None:
    """Ask a run to stop; it keeps what it has."""
    with options.stored() as runtime:
        runtime.duplicates.cancel(run)
    out.print(f"Run {run} stops within seconds.")


@duplicates.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.argument("verdict", type=click.Choice(["duplicate", "different", "open"]))
@click.option("--note", default="", help="Why.")
@click.option("--by", help="Who; the name of the user by default.")
@click.option("--replace", is_flag=True, help="Even if somebody else has decided otherwise.")
@json_option
@click.pass_obj
@reports_errors
def decide(
    options: Options,
    first: str,
    second: str,
    verdict: str,
    note: str,
    by: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Decide what parts A and B (ids or paths) are to one another; 'open' withdraws what was decided.

    It holds for their contents, wherever these files lie, until one of them changes.
    """
    from cadml_core.catalog.lookup import part_meant
    from cadml_core.duplicates.decisions import Decisions

    with options.stored() as runtime:
        a, b = (part_meant(runtime.catalog, text) for text in (first, second))
        decisions = Decisions(runtime.catalog)
        if verdict == "open":
            decisions.withdraw(a, b)
            answer: Any = {"withdrawn": True}
        else:
            answer = decisions.decide(a, b, verdict, note=note, by=_who(by), replace=replace)  # type: ignore[arg-type]
    if as_json:
        print_json(answer)
    else:
        said = "open again" if verdict == "open" else verdict
        out.print(f"{escape(a.name)} and {escape(b.name)}: {said}")


@duplicates.command()
@click.argument("part", metavar="ID-or-PATH")
@click.option("--by", help="Who; the name of the user by default.")
@click.pass_obj
@reports_errors
def lead(options: Options, part: str, by: str | None) -> None:
    """Let a part lead its groups: it is the one to keep."""
    from cadml_core.catalog.lookup import part_meant
    from cadml_core.duplicates.decisions import Decisions

    with options.stored() as runtime:
        found = part_meant(runtime.catalog, part)
        Decisions(runtime.catalog).choose_lead(found, by=_who(by))
    out.print(f"{escape(found.name)} leads its groups.")


@duplicates.command("export")
@click.argument("file", type=OUT)
@click.pass_obj
@reports_errors
def export_decisions(options: Options, file: Path) -> None:
    """Write all decisions and chosen leads to FILE, as CSV."""
    from cadml_core.duplicates.exchange import write_decisions

    with options.stored() as runtime, file.open("w", encoding="utf-8", newline="") as stream:
        count = write_decisions(stream, runtime.catalog)
    out.print(f"{count:,} decisions written: {escape(str(file))}")


@duplicates.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@reports_errors
def import_decisions(options: Options, file: Path, as_json: bool) -> None:
    """Take decisions from a CSV FILE, all or none; of two about one pair the later holds."""
    from cadml_core.duplicates.exchange import read_decisions

    with options.runtime() as runtime, _opened(file) as stream:
        taken, older = read_decisions(stream, runtime.catalog)
    if as_json:
        print_json({"taken": taken, "older": older})
    else:
        out.print(f"{taken:,} decisions taken; {older:,} are older than what is here.")


def _opened(file: Path) -> Any:
    return file.open(encoding="utf-8-sig", errors="replace", newline="")


def _scope(folder: Path | None, prefer: Path | None, **asked: Any) -> Scope:
    from cadml_core.catalog.paths import path_to_text
    from cadml_core.duplicates.scope import Scope

    return Scope(
        folder=None if folder is None else path_to_text(folder),
        prefer=None if prefer is None else path_to_text(prefer),
        **asked,
    )


def _report(runtime: Runtime, scope: Scope, limit: int, *, everything: bool) -> Report:
    from cadml_core.duplicates import report

    run = next(iter(runtime.duplicates.runs()), None)
    waiting = runtime.duplicates.waiting()
    return report.report(runtime.catalog, scope, run, waiting=waiting, limit=None if everything else limit)


def _write(
    runtime: Runtime,
    scope: Scope,
    report: Report,
    *,
    html: Path | None,
    table: Path | None,
    plan: Path | None,
) -> None:
    from cadml_core.duplicates import page, spreadsheet
    from cadml_core.duplicates import plan as planning
    from cadml_core.duplicates import report as reporting

    if html is not None:
        html.write_text(page.page(report), encoding="utf-8")
    if table is None and plan is None:
        return
    reporter = reporting.Reporter(runtime.catalog, scope)
    if table is not None:
        with table.open("w", encoding="utf-8", newline="") as stream:
            spreadsheet.write_groups(stream, reporter, reporter.groups())
    if plan is not None:
        write = planning.as_csv if plan.suffix.lower() == ".csv" else planning.as_script
        plan.write_bytes(write(planning.steps(reporter, reporter.groups())))


def _show(report: Report, limit: int) -> None:
    for one in report.groups[:limit]:
        _show_group(one)
    total = sum(report.counts.values())
    if not report.parts:
        out.print("No part with a file is within this scope.")
        return
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items())
    out.print(f"{total:,} groups among {report.parts:,} parts" + (f": {kinds}" if kinds else ""))
    if total > limit:
        out.print(f"{limit:,} are shown; --limit shows more, --html and --csv write all.")
    if report.waiting:
        out.print(f"[yellow]{report.waiting:,} files were not compared yet[/]")


def _show_group(one: ReportedGroup) -> None:
    from cadml_core.duplicates.spreadsheet import best_edges

    edges = best_edges(one)
    out.print(f"[bold]{one.kind}[/] {one.size:,} parts [dim]{one.id}[/]")
    for part in one.parts[:_SHOWN_PARTS]:
        mark = "[green]*[/]" if part.id == one.lead else " "
        edge = edges.get(part.id)
        words = f"  [dim]{escape(edge.words)}[/]" if edge and part.id != one.lead else ""
        out.print(f" {mark} {escape(part.path or part.name)}{words}")
    if one.size > _SHOWN_PARTS:
        out.print(f"   ... and {one.size - _SHOWN_PARTS:,} more")


def _of_run(run: Run) -> str:
    return f"{run.done:,} of {run.total:,} files, {run.pairs:,} pairs compared, {run.links:,} kept"


def _who(by: str | None) -> str:
    """Return who decides: the name that is given, else the user's."""
    import getpass

    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
