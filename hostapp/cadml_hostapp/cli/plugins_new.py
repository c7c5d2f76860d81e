"""``cadml plugins new``: the first version of a plugin, written to a folder."""

from __future__ import annotations

from pathlib import Path

import click

from cadml_hostapp.cli.console import escape, json_option, out, print_json, reports_errors

KINDS = ("command", "feature", "format", "picture", "policy", "routes", "vector")


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin adds.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="Folder to write to.  [default: cadml-NAME, in this one]"
)
@json_option
@reports_errors
def new(name: str, kind: str, into: Path | None, as_json: bool) -> None:
    """Write the plugin NAME: code that works, tests, packaging and CI, to start from.

    An existing folder is never written to, unless it is empty.
    """
    from cadml_hostapp.authoring.writing import write_plugin

    short = name.removeprefix("cadml-")
    folder = into or Path(f"cadml-{short}")
    files = write_plugin(name, kind, folder)
    if as_json:
        print_json({"folder": str(folder), "files": [path.as_posix() for path in files]})
        return
    out.print(f"Wrote {len(files)} files to [bold]{escape(str(folder))}[/]. Next:\n")
    out.print(f'  pip install -e "{escape(str(folder))}\\[test]"')
    out.print(f"  cadml plugins test {escape(short)}")
    module = next(path for path in files if path.suffix == ".py" and len(path.parts) == 1)
    out.print(f"\nThe code is in {escape(str(folder / module))}.")
