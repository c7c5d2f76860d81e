"""``cadml keys``: show or replace the keys in the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import Options, escape, json_option, out, print_json, reports_errors

if TYPE_CHECKING:
    from cadml_hostapp.keys import KeyFile, StoredKeys


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
@reports_errors
def keys(ctx: click.Context, as_json: bool) -> None:
    """Show the keys that `cadml serve` made. They are not used where API_KEYS and ADMIN_TOKEN are set."""
    if ctx.invoked_subcommand is None:
        from cadml_core.errors import NotFound
        from cadml_hostapp.keys import KeyFile

        file = KeyFile(ctx.obj.settings().data_path)
        found = file.load()
        if found is None:
            raise NotFound(
                f"there are no keys in {file.path} yet; `cadml serve` or `cadml keys rotate` makes them",
                stage="keys",
                path=str(file.path),
            )
        _show(found, file, as_json)


@keys.command()
@json_option
@click.pass_obj
@reports_errors
def rotate(options: Options, as_json: bool) -> None:
    """Replace both keys. A running server uses the old ones until it is started again."""
    from cadml_hostapp.keys import KeyFile

    file = KeyFile(options.settings().data_path)
    _show(file.create(replace=True), file, as_json)


def _show(found: StoredKeys, file: KeyFile, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    out.print(f"API key      {escape(found.api_key)}  (header X-API-Key)")
    out.print(f"admin token  {escape(found.admin_token)}  (header X-Admin-Token)")
    out.print(f"made {found.created}, kept in {escape(str(file.path))}")
