"""``cadml doctor``: whether this machine gives the sandbox what it needs."""

from __future__ import annotations

import sys

import click

from cadml_hostapp.cli.console import (
    EXIT_REFUSED,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    table,
)


@click.command()
@json_option
@reports_errors
def doctor(as_json: bool) -> None:
    """Say which rights confined processes lose on this machine, tried out in one. Exit 1 where one is left.

    Files are read, and models are asked, in such processes. For plugins there is `cadml plugins doctor`.
    """
    from cadml_core.isolation.inspection import inspect

    layers = inspect()
    confined = all(layer.active for layer in layers)
    if as_json:
        print_json({"confined": confined, "sandbox": layers})
    else:
        shown = table("confined processes have no", "", "by, or why not")
        for layer in layers:
            mark = "[green]yes[/]" if layer.active else "[bold red]NO[/]"
            shown.add_row(layer.means, mark, escape(layer.detail))
        out.print(shown)
        if not confined:
            out.print(
                "A hostile file or model keeps these rights here; serve in a container or virtual machine."
            )
    sys.exit(0 if confined else EXIT_REFUSED)
