"""``cadml compare``: what one part is to another, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cadml_hostapp.cli.console import Options, escape, json_option, out, print_json, reports_errors

if TYPE_CHECKING:
    from cadml_core.relations.relation import Relation

EVIDENCE = {
    "bytes": "the same bytes",
    "features": "congruent faces, edges and vertices",
    "features_relaxed": "congruent faces, edges and vertices, some of another type",
    "mesh": "distance between the surfaces, both ways",
    "invariants": "volume, area and moments, which prove nothing",
    "none": "none",
}


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--meshes/--no-meshes", default=True, help="Read meshes where only they can decide.")
@click.option(
    "--glb",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write A as a 3D model, coloured by its distance from B.",
)
@json_option
@click.pass_obj
@reports_errors
def compare(options: Options, first: str, second: str, meshes: bool, glb: Path | None, as_json: bool) -> None:
    """Say what B is to A: the same part, its mirror image, larger, a variant of it. Stores nothing.

    A and B are files, or ids of parts in the catalogue. Only what is proved is called the same.
    """
    from cadml_core.relations.words import describe
    from cadml_core.search import comparison, deviation

    with options.runtime(create_catalogue=False) as runtime:
        a, b = (comparison.comparable(runtime.intake, query) for query in (first, second))
        if glb is None:
            relation, largest = comparison.compare(runtime.intake, a, b, check_meshes=meshes), None
        else:
            model = deviation.deviation_model(runtime.intake, a, b)
            relation, largest = model.relation, model.largest_mm
            glb.write_bytes(model.data)
    if as_json:
        print_json(_answer(a.name, b.name, relation) | ({} if largest is None else {"largest_mm": largest}))
    else:
        out.print(f"[bold]{escape(b.name)}[/] to [bold]{escape(a.name)}[/]: {escape(describe(relation))}")
        out.print(f"  evidence: {_evidence(relation)}")
        if largest is not None:
            out.print(
                f"  aligned, the surfaces are up to {largest:.3g} mm apart; {escape(str(glb))} shows where"
            )


def _answer(a: str, b: str, relation: Relation) -> dict[str, Any]:
    import msgspec

    from cadml_core.relations.words import describe

    fields = {name: getattr(relation, name) for name in relation.__struct_fields__}
    return {
        "a": a,
        "b": b,
        "certified": relation.certified,
        "words": describe(relation),
        "relation": msgspec.to_builtins(fields),
    }


def _evidence(relation: Relation) -> str:
    from cadml_core.relations.words import length

    said = "features of the same kind and size" if relation.kind == "variant" else EVIDENCE[relation.evidence]
    if relation.deviation_mm is not None and relation.kind != "identical":
        said += f"; they are within {length(relation.deviation_mm)}"
    if relation.certified and relation.tolerance_mm:
        said += f", tolerance {length(relation.tolerance_mm)}"
    return said
