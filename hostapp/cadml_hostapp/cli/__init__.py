"""The ``cadml`` command. Each subcommand is a module; modules load when their command runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich_click as click

from cadml_hostapp.cli.console import Options

COMMANDS = {
    "demo": "demo",
    "evaluate": "evaluate",
    "export": "transfer",
    "extract": "extract",
    "import": "transfer",
    "ingest": "ingest",
    "migrate": "migrate",
    "model": "model",
    "keys": "keys",
    "plugins": "plugins",
    "search": "search",
    "serve": "serve",
    "settings": "settings",
}
"""Subcommand -> module of this package that defines it under the same name."""


class LazyGroup(click.RichGroup):
    """A group that imports a subcommand's module only when it is wanted, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the alphabet."""
        return sorted({*COMMANDS, *_plugin_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand; a plugin's never takes the place of a built-in one."""
        if cmd_name not in COMMANDS:
            return _plugin_commands(ctx).get(cmd_name)
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name]}")
        attribute = {"import": "import_"}.get(cmd_name, cmd_name)
        command: click.Command = getattr(module, attribute)
        return command


def _plugin_commands(ctx: click.Context) -> Mapping[str, Any]:
    """Return the commands of plugins; where only built-ins are installed, nothing is imported for it."""
    from cadml_core.errors import CadmlError
    from cadml_core.plugins.discovery import only_built_in
    from cadml_core.plugins.loader import load_plugins

    if only_built_in():
        return {}
    named = ("data_dir", "config", "safe_mode")
    options = Options(**{name: ctx.params.get(name) for name in named})
    try:
        return load_plugins(options.settings()).registry.commands
    except CadmlError:  # the settings cannot be: whichever command is meant says so itself
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
