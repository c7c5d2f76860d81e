"""The ``cadml`` command. Each subcommand is a module, and what it works with loads when it runs.

``cadml --help`` and ``cadml SUB --help`` import every module of this package, or one. So these modules import
nothing but click at their top: numpy, SQLAlchemy and the plugins cost ten times as much as the rest.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cadml_hostapp.cli.console import Options
from cadml_hostapp.cli.discovery import third_party_plugins

# Products of searches are small: several threads of OpenBLAS would wait for one another far longer than one
# takes, and on a busy machine without end. It has to be said before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS = {
    "cache": "cache",
    "compare": "compare",
    "demo": "demo",
    "doctor": "doctor",
    "duplicates": "duplicates",
    "evaluate": "evaluate",
    "export": "transfer",
    "extract": "extract",
    "import": "transfer",
    "failures": "failures",
    "families": "families",
    "ingest": "ingest",
    "library": "library",
    "metadata": "metadata",
    "migrate": "migrate",
    "model": "model",
    "keys": "keys",
    "parts": "parts",
    "picture": "picture",
    "plugins": "plugins",
    "search": "search",
    "serve": "serve",
    "settings": "settings",
}
"""Subcommand -> module of this package that defines it under the same name."""


class LazyGroup(click.Group):
    """Imports the module of a subcommand when the subcommand is wanted, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in alphabetical order."""
        plugins = _plugin_commands(ctx) if third_party_plugins() else {}
        return sorted({*COMMANDS, *plugins})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand; one of a plugin never replaces a built-in one."""
        if cmd_name not in COMMANDS:
            plugins = _plugin_commands(ctx)
            return plugins[cmd_name] if cmd_name in plugins else None  # noqa: SIM401 - a table's ``get`` raises
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name]}")
        attribute = {"import": "import_"}.get(cmd_name, cmd_name)
        command: click.Command = getattr(module, attribute)
        return command


def _plugin_commands(ctx: click.Context) -> Mapping[str, Any]:
    """Load the plugins and return their commands."""
    from cadml_core.errors import CadmlError
    from cadml_core.plugins.loader import load_plugins

    named = ("data_dir", "config", "safe_mode")
    options = Options(**{name: ctx.params.get(name) for name in named})
    try:
        return load_plugins(options.settings()).registry.commands
    except CadmlError:  # an impossible setting; the command that runs reports it
        return {}


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data-dir", type=click.Path(file_okay=False), help="Where the catalogue lives.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file (cadml.toml).")
@click.option("--safe-mode", is_flag=True, help="Load the built-in plugins only.")
@click.version_option(package_name="cadml", message="cadml %(version)s")
@click.pass_context
def main(ctx: click.Context, data_dir: str | None, config: Path | None, safe_mode: bool) -> None:
    """Find similar parts in CAD files: DXF, STL, STEP and IGES."""
    ctx.obj = Options(data_dir=data_dir, config=config, safe_mode=safe_mode)
