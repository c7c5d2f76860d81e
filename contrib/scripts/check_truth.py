"""Compare what the readers measure with what other code measures, file by file.

    python contrib/scripts/check_truth.py FOLDER [--format step] [--json OUT]

Boxes, areas, volumes, counts and closedness of meshes come from trimesh, those of STEP and IGES from the
kernel's adaptive integrals, checked by two tessellations of the shape as the kernel transfers it, and the
boxes of drawings from ezdxf and scipy. The script prints a table by format, and the files that are off by
more than 1e-4 and 1 %. It ends with 1 where a number that is called reliable is off by more than 1e-3. Where
the other code fails, or a check of its own answer says that it is wrong, the script says so and why.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from truth_of_drawings import drawing_box

from cadml_core import CadDocument
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.detection import display
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import load_settings

SECONDS = 120.0
"""The other code may take so long for a file."""
DEFLECTIONS = (2e-3, 5e-4)
"""Over the diagonal of the box; the error of a tessellation is in proportion to it."""
ANGLE = 0.1
"""Between facets of the finer tessellation, in radians."""
EPSILON = 1e-5
"""Relative error of the kernel's adaptive integrals, face by face."""
SAMPLES = 16
"""Places along either parameter at which a face is examined."""
SAME = 1e-6
"""Relative difference of numbers that are equal but for rounding."""


CONTEXT = multiprocessing.get_context("forkserver")
"""Processes that have the other code loaded: loading it takes longer than most files."""
CONTEXT.set_forkserver_preload(
    ["OCP.STEPControl", "OCP.IGESControl", "OCP.BRepGProp", "OCP.BRepMesh", "trimesh", "ezdxf.bbox"]
)


class Truth(msgspec.Struct, frozen=True):
    """What other code measured; None where it has no answer."""

    extents: tuple[float, ...] | None = None
    area: float | None = None
    volume: float | None = None
    area_error: float = 0.0
    """Relative error of the other code's own number."""
    volume_error: float = 0.0
    box_error: float = 0.0
    counts: dict[str, int] = {}
    closed: bool | None = None
    failure: str = ""
    """Why numbers are missing that the other code should have."""


class Comparison(msgspec.Struct, frozen=True):
    """One file: relative differences of what both measured, beyond the other code's own error."""

    path: str
    format: str
    box: float | None = None
    area: float | None = None
    volume: float | None = None
    bound: float = 0.0
    """The other code's own error, in which differences mean nothing."""
    reliable: bool | None = None
    counts: bool | None = None
    closed: bool | None = None
    why: str = ""
    """Where numbers of the other code are missing, the reason."""
    warnings: tuple[str, ...] = ()


def measure_mesh(path: Path) -> Truth:
    """Measure an STL file with trimesh; area and volume do not depend on which corners it merges."""
    import trimesh

    mesh = trimesh.load(path, file_type="stl", process=False, force="mesh")
    area, volume, count = float(mesh.area), abs(float(mesh.volume)), len(mesh.faces)
    truth = Truth(extents=tuple(map(float, mesh.extents)), area=area, counts={"facets": count})
    mesh.merge_vertices()
    if abs(float(mesh.area) - area) > SAME * area:
        failure = "the other code merges corners that are apart, so that only box, area and counts are known"
        return msgspec.structs.replace(truth, failure=failure)
    closed = bool(mesh.is_watertight and mesh.is_winding_consistent)
    return msgspec.structs.replace(truth, volume=volume if closed else None, closed=closed)


def measure_drawing(path: Path) -> Truth:
    """Measure the extent of a drawing's geometry with ezdxf and scipy."""
    box, error = drawing_box(path)
    return Truth(extents=box, box_error=error / max(*box, 1e-12)) if box else Truth()


def measure_step(path: Path) -> Truth:
    """Measure a STEP file as the kernel transfers it."""
    from OCP.STEPControl import STEPControl_Reader

    return _measure_brep(STEPControl_Reader(), path)


def measure_iges(path: Path) -> Truth:
    """Measure an IGES file as the kernel transfers it: areas and boxes, since there are no solids yet."""
    from OCP.IGESControl import IGESControl_Controller, IGESControl_Reader

    IGESControl_Controller.Init_s()
    return _measure_brep(IGESControl_Reader(), path)


def _measure_brep(reader: Any, path: Path) -> Truth:
    reader.ReadFile(str(path))
    reader.TransferRoots()
    shape = reader.OneShape()
    if shape.IsNull():
        return Truth()
    faces, solids = _all(shape, "FACE"), _all(shape, "SOLID")
    if not faces:
        return Truth()
    low, high = _box(shape)
    truth = Truth(
        extents=tuple(b - a for a, b in zip(low, high, strict=True)),
        counts={"faces": len(faces), "solids": len(solids)},
    )
    if repeated := sum(map(_repeats, faces)):
        failure = f"{repeated} faces have the same places twice, and the kernel measures them as often"
        return msgspec.structs.replace(truth, failure=failure)
    diagonal = math.dist(low, high)
    areas, volumes = [], []
    for deflection in DEFLECTIONS:
        _mesh(shape, deflection * diagonal)
        areas.append(_facets("SurfaceProperties_s", [shape]))
        volumes.append(_facets("VolumeProperties_s", solids))
    area, area_error = _agreed(_exact_area(shape), *areas)
    volume, volume_error = _agreed(sum(map(_exact_volume, solids)), *volumes) if solids else (None, 0.0)
    return msgspec.structs.replace(
        truth, area=area, volume=volume, area_error=area_error, volume_error=volume_error
    )


def _repeats(shape: Any) -> bool:
    """Tell whether a face has the same places twice: inside of it, a whole turn apart.

    A thread goes round its axis as well, and reaches other places with every turn.
    """
    from OCP import TopAbs
    from OCP.BRepAdaptor import BRepAdaptor_Surface
    from OCP.BRepTools import BRepTools
    from OCP.gp import gp_Pnt2d
    from OCP.IntTools import IntTools_FClass2d
    from OCP.TopoDS import TopoDS

    face = TopoDS.Face_s(shape) if hasattr(TopoDS, "Face_s") else TopoDS.Face(shape)
    surface = BRepAdaptor_Surface(face)
    u_low, u_high, v_low, v_high = BRepTools.UVBounds_s(face)
    turn = surface.UPeriod() if surface.IsUPeriodic() else math.inf
    if u_high - u_low <= (1.0 + SAME) * turn:
        return False
    inside = IntTools_FClass2d(face, SAME)
    shares = [(number + 0.5) / SAMPLES for number in range(SAMPLES)]
    return any(
        all(inside.Perform(gp_Pnt2d(place, v), False) == TopAbs.TopAbs_IN for place in (u, u + turn))
        for u in (u_low + share * (u_high - u_low - turn) for share in shares)
        for v in (v_low + share * (v_high - v_low) for share in shares)
    )


def _agreed(exact: float, coarse: float, fine: float) -> tuple[float, float]:
    """Return the number to compare with and its relative error.

    Two tessellations, the second four times as fine, have a limit. An integral that agrees with it is as
    exact as it claims; one that does not is wrong, and the limit is all that is known.
    """
    limit = fine + (fine - coarse) / 3
    # Of a cylinder with facets at an angle a to one another, a²/6 of the volume are missing.
    error = abs(fine - coarse) + ANGLE**2 / 6 * abs(limit)
    if abs(exact - limit) <= error:
        return exact, EPSILON
    return limit, error / max(abs(limit), 1e-300)


def _all(shape: Any, kind: str) -> list[Any]:
    from OCP import TopAbs
    from OCP.TopExp import TopExp_Explorer

    explorer, found = TopExp_Explorer(shape, getattr(TopAbs, f"TopAbs_{kind}")), []
    while explorer.More():
        found.append(explorer.Current())
        explorer.Next()
    return found


def _mesh(shape: Any, deflection: float) -> None:
    from OCP.BRepMesh import BRepMesh_IncrementalMesh
    from OCP.BRepTools import BRepTools

    BRepTools.Clean_s(shape)
    BRepMesh_IncrementalMesh(
        shape, deflection, False, 2 * ANGLE if deflection == DEFLECTIONS[0] else ANGLE, False
    )


def _box(shape: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from OCP.Bnd import Bnd_Box
    from OCP.BRepBndLib import BRepBndLib

    box = Bnd_Box()
    BRepBndLib.AddOptimal_s(shape, box, False, False)
    box.SetGap(0.0)
    low, high = box.CornerMin(), box.CornerMax()
    return (low.X(), low.Y(), low.Z()), (high.X(), high.Y(), high.Z())


def _facets(name: str, shapes: list[Any]) -> float:
    """Add up areas or absolute volumes of tessellations."""
    from OCP.BRepGProp import BRepGProp
    from OCP.GProp import GProp_GProps

    total = 0.0
    for shape in shapes:
        properties = GProp_GProps()
        flags = (False, True) if name.startswith("Surface") else (False, False, True)
        getattr(BRepGProp, name)(shape, properties, *flags)
        total += abs(properties.Mass())
    return total


def _exact_area(shape: Any) -> float:
    from OCP.BRepGProp import BRepGProp
    from OCP.BRepTools import BRepTools
    from OCP.GProp import GProp_GProps

    BRepTools.Clean_s(shape)
    properties = GProp_GProps()
    BRepGProp.SurfaceProperties_s(shape, properties, EPSILON)
    return float(properties.Mass())


def _exact_volume(solid: Any) -> float:
    """Integrate by Gauss and Kronrod, which the readers do not use."""
    from OCP.BRepGProp import BRepGProp
    from OCP.GProp import GProp_GProps

    properties = GProp_GProps()
    BRepGProp.VolumePropertiesGK_s(solid, properties, EPSILON, False, True, False, False)
    return abs(float(properties.Mass()))


MEASURES: dict[str, Callable[[Path], Truth]] = {
    "stl": measure_mesh,
    "dxf": measure_drawing,
    "step": measure_step,
    "iges": measure_iges,
}


def _answer(measure: Callable[[Path], Truth], path: Path, output: str) -> None:
    try:
        truth = measure(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no answer
        truth = Truth(failure=f"the other code fails: {type(error).__name__}")
    Path(output).write_bytes(msgspec.json.encode(truth))


def measured(format_name: str, path: Path) -> Truth:
    """Run the other code in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "truth")
        work = (MEASURES[format_name], path, output)
        process = CONTEXT.Process(target=_answer, args=work)
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            return Truth(failure="the other code takes too long")
        if process.exitcode:
            return Truth(failure=f"the other code ends with {process.exitcode}")
        return msgspec.json.decode(Path(output).read_bytes(), type=Truth)


def compare(path: Path, document: CadDocument, truth: Truth) -> Comparison:
    """Compare one document with what other code measured."""
    mass = document.mass
    row: dict[str, Any] = {
        "path": str(path),
        "format": document.format,
        "reliable": mass.reliable if mass else None,
        "warnings": document.warnings,
        "why": truth.failure,
    }
    said = any("left out" in warning or "too wide" in warning for warning in document.warnings)
    if truth.extents and document.bounding_box and not said:
        longest = max(max(truth.extents), 1e-12)
        pairs = zip(document.bounding_box.extents, truth.extents, strict=False)
        off = max(abs(ours - theirs) for ours, theirs in pairs) / longest
        row["box"] = max(0.0, off - 2.0 * truth.box_error)
    if truth.area and document.area is not None:
        row["area"] = abs(document.area / truth.area - 1.0)
    if truth.volume and mass:
        row["volume"] = abs(mass.volume / truth.volume - 1.0)
    if truth.counts.get("facets"):
        row["counts"] = document.facet_count == truth.counts["facets"]
    elif truth.counts.get("faces"):
        row["counts"] = document.surface_count + document.facet_count >= truth.counts["faces"]
    if truth.closed is not None and document.facet_quality:
        row["closed"] = document.facet_quality.watertight == truth.closed
    return Comparison(**row, bound=max(truth.area_error, truth.volume_error))


def wrong(row: Comparison, limit: float) -> bool:
    """Tell whether a number that nobody doubts is off by more than a limit and the other code's own error."""
    trusted = [row.box] if row.reliable is False else [row.box, row.area, row.volume]
    return any(value is not None and value > limit + 3 * row.bound for value in trusted)


def _numbers(row: Comparison) -> list[bool]:
    return [value is not None for value in (row.box, row.area, row.volume)]


def failures(rows: list[Comparison], folder: Path) -> Iterator[str]:
    """Yield the reasons for which numbers of the other code are missing, and the files."""
    groups = defaultdict(list)
    for row in rows:
        if row.why:
            groups[row.format, row.why].append(display(Path(row.path).relative_to(folder)))
    for (name, why), paths in sorted(groups.items()):
        yield f"  {name}, {len(paths)} files: {why}"
        yield from (f"    {path}" for path in paths)


def table(rows: list[Comparison]) -> Iterator[str]:
    """Yield the lines of the table by format."""
    yield "| format | compared | box <= 1e-4 | area <= 1e-4 | volume <= 1e-4 | reliable | reliable, > 1e-3 |"
    yield "|---" * 7 + "|"
    groups = defaultdict(list)
    for row in rows:
        groups[row.format].append(row)
    for name, group in sorted(groups.items()):
        cells: list[object] = [name, sum(any(_numbers(row)) for row in group)]
        for field in ("box", "area", "volume"):
            known = [(getattr(row, field), row.bound) for row in group if getattr(row, field) is not None]
            right = sum(value <= 1e-4 + (0.0 if field == "box" else 3 * bound) for value, bound in known)
            cells.append(f"{right} of {len(known)}")
        cells += [sum(row.reliable is True for row in group), sum(wrong(row, 1e-3) for row in group)]
        yield "| " + " | ".join(map(str, cells)) + " |"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=sorted(MEASURES), help="compare files of this format only")
    parser.add_argument("--json", type=Path, help="add every comparison to this file as a JSON line")
    return parser.parse_args()


def main() -> int:
    """Run the comparison."""
    wanted = arguments()
    settings = load_settings()
    registry = load_plugins(settings).registry
    suffixes = {suffix: adapter.name for adapter in registry.formats.values() for suffix in adapter.suffixes}
    paths = [
        path
        for path in sorted(wanted.folder.rglob("*"))
        if (name := suffixes.get(path.suffix.lower())) in MEASURES and wanted.format in (None, name)
    ]
    limits = read_limits(settings)
    with ReaderPool(registry.formats, registry.features, limits=limits, workers=2) as pool:

        def one(path: Path) -> Comparison | None:
            try:
                document = pool.read(path, []).document
            except CadmlError:
                return None
            return compare(path, document, measured(document.format, path))

        rows = []
        with ThreadPoolExecutor(2) as threads:
            for number, row in enumerate(threads.map(one, paths), start=1):
                print(f"\r{number} of {len(paths)} files", end="", file=sys.stderr, flush=True)
                rows += [row] if row is not None else []
                if row is not None and wanted.json:
                    with wanted.json.open("a") as file:
                        file.write(json.dumps(msgspec.to_builtins(row)) + "\n")
    print(file=sys.stderr)
    print(*table(rows), sep="\n")
    for limit, title in ((1e-2, "1 %"), (1e-4, "1e-4")):
        print(f"\noff by more than {title}, and not marked:")
        for row in rows:
            if wrong(row, limit):
                print(
                    f"  {display(Path(row.path).relative_to(wanted.folder))}:"
                    f" box {row.box} area {row.area} volume {row.volume}"
                )
    print("\nwithout all numbers of the other code:", *failures(rows, wanted.folder), sep="\n")
    return int(any(wrong(row, 1e-3) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
