"""``cadml picture``: what a file or a part looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cadml_hostapp.cli.console import Options, escape, out, reports_errors, unit_option

if TYPE_CHECKING:
    from cadml_core.contracts.formats import UnitName
    from cadml_core.documents.drawn import DrawingKind, Drawn
    from cadml_core.runtime import Runtime


@click.command()
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write; FILE.svg here."
)
@click.option(
    "--axes",
    type=click.Choice(["own", "file"]),
    default="own",
    show_default=True,
    help="The part's own axes, or those of its file.",
)
@click.option("--model", is_flag=True, help="Write a 3D model (GLB) instead.")
@unit_option
@click.pass_obj
@reports_errors
def picture(
    options: Options, file: str, output: Path | None, axes: str, model: bool, unit: UnitName | None
) -> None:
    """Draw FILE, or the part with this id, as SVG or PNG. Stores nothing of a file.

    The suffix of what is written follows from what was drawn where --output is not given: lines are SVG,
    shaded facets are PNG.
    """
    kind: DrawingKind = "model" if model else "file" if axes == "file" else "own"
    with options.runtime(create_catalogue=False) as runtime:
        drawn = _drawn(runtime, file, kind, unit)
    suffix = {"image/svg+xml": ".svg", "image/png": ".png"}.get(drawn.media_type, ".glb")
    target = output or Path(Path(file).name + suffix)
    if output is not None and output.suffix.lower() != suffix:
        out.print(f"  [yellow]note[/] the content is {drawn.media_type}, usually named {suffix}")
    target.write_bytes(drawn.data)
    out.print(f"{escape(str(target))}: {drawn.media_type}, {len(drawn.data):,} bytes")


def _drawn(runtime: Runtime, query: str, kind: DrawingKind, unit: UnitName | None) -> Drawn:
    from cadml_core.intake.drawings import shown
    from cadml_core.intake.intake import source_file

    path = Path(query)
    if not path.is_file():
        return runtime.drawings.of_part(query, kind)
    reading = runtime.drawings.of_file(source_file(path, unit), kind).result()
    return shown(reading.drawn[0])
