"""``cadml library``: pictures of the whole catalogue."""

from __future__ import annotations

from pathlib import Path

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


@click.group()
def library() -> None:
    """See the whole catalogue at once."""


@library.command("map")
@click.argument("file", metavar="OUT.svg", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--colour",
    type=click.Choice(["label", "family", "format", "project", "material"]),
    default="label",
    show_default=True,
    help="By what points are coloured.",
)
@click.option("--version", help="Feature version; by default that by which searches rank.")
@json_option
@click.pass_obj
@reports_errors
def map_(options: Options, file: Path, colour: str, version: str | None, as_json: bool) -> None:
    """Draw every part as a point, parts that are shaped alike near one another, as an SVG file.

    Families are those of the last `cadml families`.
    """
    from cadml_core.families.families import Space
    from cadml_core.families.memory import FamilyMemory
    from cadml_core.families.scatter import flattened, scatter
    from cadml_hostapp.cli.families import feature_of

    with options.stored(version=version) as runtime, progress_bar("comparing") as update:
        space = Space.of(runtime.catalog, feature_of(runtime, version), update)
        if colour == "family":
            memory = FamilyMemory(runtime.catalog)
            names, members = memory.names(), memory.members()
            groups = [names.get(members.get(part.id, -1)) for part in space.parts]
        else:
            groups = [getattr(part, colour) for part in space.parts]
    shown = [part.path or part.name for part in space.parts]
    drawn = scatter(flattened(space.vectors), shown, groups, f"Parts by {colour}")
    file.write_text(drawn, encoding="utf-8")
    if as_json:
        print_json({"file": str(file), "parts": len(space.parts)})
    else:
        out.print(f"{len(space.parts):,} parts drawn: {escape(str(file))}")
