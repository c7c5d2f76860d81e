"""``cadml plugins``: every plugin record, what is broken, and help for authors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import (
    EXIT_REFUSED,
    Options,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    table,
)
from cadml_hostapp.cli.plugins_new import new
from cadml_hostapp.cli.plugins_test import test

if TYPE_CHECKING:
    from cadml_core.plugins.records import PluginRecord

_COLOURS = {"loaded": "green", "failed": "red", "blocked": "yellow", "incompatible": "yellow"}


@click.group()
def plugins() -> None:
    """List the plugins, find out why one does not work, or write one."""


plugins.add_command(new)
plugins.add_command(test)


@plugins.command("list")
@json_option
@click.pass_obj
@reports_errors
def list_plugins(options: Options, as_json: bool) -> None:
    """Show every plugin: kind, distribution, version, status."""
    from cadml_core.plugins.loader import load_plugins
    from cadml_hostapp.routes.plugins.schemas import plugin_answer

    records = load_plugins(options.settings()).records
    if as_json:
        print_json([plugin_answer(record) for record in records])
        return
    shown = table("plugin", "kind", "provides", "distribution", "status", "ms")
    for record in records:
        colour = _COLOURS[record.status]
        shown.add_row(
            escape(record.name),
            ", ".join(record.kinds),
            escape(", ".join(record.provides)),
            escape(f"{record.distribution} {record.version}"),
            f"[{colour}]{record.status}[/]" + (f" {escape(record.error)}" if record.error else ""),
            f"{record.import_seconds * 1000:.0f}",
        )
    out.print(shown)


@plugins.command()
@json_option
@click.pass_obj
@reports_errors
def doctor(options: Options, as_json: bool) -> None:
    """Say what is broken and how to repair it. Exit 1 where anything is."""
    from cadml_core.errors import PluginUnavailable
    from cadml_core.plugins.loader import load_plugins, require_chosen

    settings = options.settings()
    loaded = load_plugins(settings)
    broken = [record for record in loaded.records if record.status in ("failed", "incompatible")]
    missing = None
    try:
        require_chosen(loaded.registry, settings)
    except PluginUnavailable as error:
        missing = error.message
    healthy = not broken and missing is None
    if as_json:
        print_json({"healthy": healthy, "broken": broken, "chosen_but_missing": missing})
    else:
        _explain(broken, missing, len(loaded.records))
    sys.exit(0 if healthy else EXIT_REFUSED)


def _explain(broken: list[PluginRecord], missing: str | None, total: int) -> None:
    if missing is not None:
        out.print(f"[bold red]The server would not start:[/] {escape(missing)}\n")
    for record in broken:
        out.print(f"[bold red]{escape(record.name)}[/] ({escape(record.distribution)} {record.version})")
        out.print(f"  {escape(record.error or '')}")
        if record.hint:
            out.print(f"  [bold]To repair it:[/] {escape(record.hint)}")
        if record.traceback:
            out.print("\n".join(map(escape, record.traceback.splitlines())), style="dim")
    if not broken and missing is None:
        out.print(f"All {total} plugins are fine.")
