"""``cadml settings``: every setting, its value and where it came from."""

from __future__ import annotations

from typing import Any

import rich_click as click
from rich.markup import escape
from rich.table import Table

from cadml_core.settings import Settings, SettingSpec, setting_specs
from cadml_hostapp.cli.console import Options, json_option, out, print_json, reports_errors


@click.command()
@json_option
@click.pass_obj
@reports_errors
def settings(options: Options, as_json: bool) -> None:
    """Show each setting, its value and where it came from. Secrets are hidden."""
    resolved = options.settings()
    specs = setting_specs()
    if as_json:
        print_json([_row(spec, resolved) for spec in specs])
        return
    table = Table("setting", "value", "from", "environment", box=None, header_style="bold")
    for spec in specs:
        row = _row(spec, resolved)
        shown = "" if row["value"] in ((), {}, "") else str(row["value"])
        table.add_row(spec.key, escape(shown), escape(row["origin"]), spec.env)
    out.print(table)


def _row(spec: SettingSpec, resolved: Settings) -> dict[str, Any]:
    value = getattr(resolved, spec.field)
    return {
        "key": spec.key,
        "environment": spec.env,
        "value": "(hidden)" if spec.secret and value else value,
        "default": spec.default,
        "origin": resolved.origins.get(spec.field, "default"),
        "allowed": spec.allowed,
        "description": spec.description,
    }
