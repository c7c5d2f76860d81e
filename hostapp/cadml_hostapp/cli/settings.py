"""``cadml settings``: every setting, its value and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cadml_hostapp.cli.console import (
    Options,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    table,
)

if TYPE_CHECKING:
    from cadml_core.settings import Settings, SettingSpec


@click.command()
@json_option
@click.pass_obj
@reports_errors
def settings(options: Options, as_json: bool) -> None:
    """Show each setting, its value and where it came from. Secrets are hidden."""
    from cadml_core.settings import setting_specs

    resolved = options.settings()
    specs = setting_specs()
    if as_json:
        print_json([_row(spec, resolved) for spec in specs])
        return
    shown = table("setting", "value", "from", "environment")
    for spec in specs:
        row = _row(spec, resolved)
        value = "" if row["value"] in ((), {}, "") else str(row["value"])
        shown.add_row(spec.key, escape(value), escape(row["origin"]), spec.env)
    out.print(shown)


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
