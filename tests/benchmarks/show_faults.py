"""Make one file for each class of fault that misleads a reader, and print what the readers say of it.

    python -m tests.benchmarks.show_faults [--before TREE]

TREE is a checkout of another version of the product, whose answers are printed beside. Faults of limits, of
remembered failures and of roots that cannot be built need no file of a kind: the tests show them. Shapes
that the kernel would repair as it writes STEP are kept in its own format, and measured as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

KERNEL = "cadml_plugins.formats.kernel"
ADAPTERS = {
    ".step": (f"{KERNEL}.step", "StepAdapter"),
    ".igs": (f"{KERNEL}.iges", "IgesAdapter"),
    ".stl": ("cadml_plugins.formats.stl.adapter", "StlAdapter"),
    ".dxf": ("cadml_plugins.formats.dxf.adapter", "DxfAdapter"),
}


class Fault(NamedTuple):
    """A class of fault."""

    name: str
    suffix: str
    truth: str
    write: Callable[[Path], object]


def faults() -> Iterator[Fault]:
    """Yield the classes, each with what is true of its part."""
    yield from _solids()
    yield from _sheets()
    yield from _meshes()
    yield Fault("an ellipse ends at 6.28318530718", ".dxf", "box 8 x 4", _ellipse)


def _solids() -> Iterator[Fault]:
    from cadml_plugins.formats.kernel._occt import kernel_function
    from tests.unit.formats import kernel_parts as parts
    from tests.unit.formats.test_kernel_truth import oriented_faces, shell_of, solid_of

    def shells(*shapes: Any) -> list[Any]:
        return [shell_of(*oriented_faces(shape)) for shape in shapes]

    def brep(name: str, truth: str, shape: Any) -> Fault:
        return Fault(name, ".brep", truth, lambda path: write_brep(shape, str(path)))

    def step(name: str, truth: str, shape: Any, unit: str = "MM") -> Fault:
        return Fault(name, ".step", truth, lambda path: parts.write_step(shape, path, unit=unit))

    write_brep = kernel_function("BRepTools", "Write")

    box = parts.box(10, 10, 10)
    far, within = parts.box(9, 9, 9, at=(50, 0, 0)), parts.box(4, 4, 4, at=(3, 3, 3))
    thrice = shell_of(*(face for _ in range(3) for face in oriented_faces(box)))
    yield brep("volume beyond the box", "no solid", solid_of(thrice))
    cones = [face for x in (0.0, 0.1) for face in oriented_faces(parts.placed(parts.cone(), x))]
    yield brep("volume beyond the hull", "no solid", solid_of(shell_of(*cones)))
    yield brep("inside out", "volume 1000", box.Reversed())
    outer, other = shells(box, far)
    yield brep("shells that cancel", "volume 1729", solid_of(outer, other.Reversed()))
    outer, inner = shells(box, within)
    yield brep("a cavity that faces outwards", "volume 936", solid_of(outer, inner))
    yield brep("a cavity", "volume 936", solid_of(outer, inner.Reversed()))
    lid = parts.compound(parts.faces(parts.box(5, 5, 5, at=(50, 0, 0)))[:5])
    yield step("an open shell beside a solid", "volume 1000 and a sheet of 125", parts.compound([box, lid]))
    faces = oriented_faces(box)
    twisted = solid_of(shell_of(*faces[:5], parts.placed(faces[5], z=-4.0)))
    yield brep("not valid, and the volume is off", "no solid", twisted)
    moved = parts.placed(parts.bracket(), 100, 50, 20, 0.5)
    yield brep("a root that is placed", "the centroid is in the box", moved)
    yield Fault("a unit with words around its name", ".step", "unit inch", partial(_in_inches, box))
    overlapping = [box, parts.box(10, 10, 9), parts.box(10, 9, 10)]
    yield step("overlapping bodies", "no more than the box", parts.compound(overlapping))


def _sheets() -> Iterator[Fault]:
    from cadml_plugins.formats.kernel._occt import kernel_class
    from tests.unit.formats import kernel_parts as parts
    from tests.unit.formats.test_kernel_truth import helical_strip

    two = [parts.box(10, 10, 10), parts.box(10, 10, 10, at=(10, 0, 0))]
    touching = parts.compound([face for body in two for face in parts.faces(body)])
    hollow = parts.compound(parts.faces(parts.cut(two[0], parts.box(4, 4, 4, at=(3, 3, 3)))))
    for suffix, write in ((".step", parts.write_step), (".igs", parts.write_iges)):
        for name, truth, shape in (
            ("loose faces", "1 solid, volume 1000", parts.compound(parts.faces(two[0]))),
            ("bodies that touch, as loose faces", "2 solids, volume 2000", touching),
            ("a hollow of loose faces", "volume 936, or a core", hollow),
        ):
            yield Fault(name, suffix, truth, partial(write, shape))
    strip = kernel_class("BRepBuilderAPI_NurbsConvert")(helical_strip(40)).Shape()
    truth = f"area {40 * 2 * math.pi * 4.0:.6g}"
    yield Fault(
        "a free-form face that winds 40 times", ".step", truth, lambda path: parts.write_step(strip, path)
    )


def _meshes() -> Iterator[Fault]:
    import numpy as np

    from tests.unit.formats.test_stl import ascii_text, binary, cube

    whole = cube(10.0)
    cracked = whole + np.random.default_rng(0).uniform(-4e-6, 4e-6, whole.shape)
    opposite = np.concatenate([whole, (whole + 20.0)[:, ::-1]])
    for name, truth, content in (
        ("corners that differ by rounding", "closed, volume 1000", binary(cracked)),
        ("two opposite bodies", "volume 2000", binary(opposite)),
        ("closed by `end solid`", "12 facets", ascii_text(whole).replace("endsolid", "end solid").encode()),
        ("in metres", "perhaps 10 mm", binary(whole / 1000.0)),
        ("in inches", "perhaps 254 mm", binary(cube(5.0))),
    ):
        yield Fault(name, ".stl", truth, partial(_save, content))


def _save(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _in_inches(shape: Any, path: Path) -> None:
    from tests.unit.formats import kernel_parts as parts

    parts.write_step(shape, path, unit="INCH")
    content = path.read_bytes()
    assert b"('INCH'" in content
    path.write_bytes(content.replace(b"('INCH'", b"('__CONSTANT UNIT inch'"))


def _ellipse(path: Path) -> None:
    import ezdxf

    drawing = ezdxf.new(units=4)
    drawing.modelspace().add_ellipse((0, 0), (4, 0), 0.5, 0, 6.28318530718)
    drawing.saveas(path)


def answer(path: Path) -> str:
    """Return what the readers that are installed say of a file, in short."""
    core = import_module("cadml_core")
    if path.suffix == ".brep":
        return _measured(path, core.ReadLimits())
    module, name = ADAPTERS[path.suffix]
    try:
        document = getattr(import_module(module), name)().read(path, core.ReadLimits())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"refused: {str(error).partition(': ')[2][:90]}"
    words = []
    if document.bounding_box:
        words.append("box " + " x ".join(f"{size:.4g}" for size in document.bounding_box.extents if size))
    if document.area:
        words.append(f"area {document.area:.6g}")
    if document.mass:
        trust = "reliable" if document.mass.reliable else "NOT reliable"
        words.append(f"volume {document.mass.volume:.6g} {trust}")
        words += _astray(document.mass.centroid, document.bounding_box)
        words.append(f"{document.solid_count} solids")
    if document.unit:
        words.append(f"unit {document.unit}")
    return "; ".join([*words, *(warning[:110] for warning in document.warnings)])


def _astray(centroid: tuple[float, ...], box: Any) -> list[str]:
    """Say of a centroid that it lies outside of the box, and by how much of its longest side."""
    sides = zip(box.minimum, centroid, box.maximum, strict=True)
    off = max(max(low - place, place - high) for low, place, high in sides) / max(box.extents)
    return [f"the centroid is {off:.2g} part sizes outside of the box"] if off > 1e-6 else []


def _measured(path: Path, limits: Any) -> str:
    """Return what is said of a shape as the kernel keeps it: its exchange files would repair the fault."""
    occt = import_module(f"{KERNEL}._occt")
    shape = occt.kernel_class("TopoDS_Shape")()
    occt.kernel_function("BRepTools", "Read")(shape, str(path), occt.kernel_class("BRep_Builder")())
    namer = import_module(f"{KERNEL}._recognition").Namer()
    census = import_module(f"{KERNEL}._brep").measure(shape, limits, namer)
    trust = "reliable" if census.mass.reliable else "NOT reliable"
    sizes = " x ".join(f"{size:.4g}" for size in census.box.extents)
    words = [f"box {sizes}", f"area {census.area:.6g}", f"volume {census.mass.volume:.6g} {trust}"]
    words += _astray(census.mass.centroid, census.box)
    return "; ".join([*words, f"{census.solids} solids", *census.warnings, *getattr(census, "doubts", ())])


def answers(folder: Path, tree: Path | None) -> dict[str, str]:
    """Return the answers of this version, or of that in a tree, by the name of the file."""
    environment = dict(os.environ)
    if tree is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(tree), str(tree / "plugins"), str(tree / "hostapp")])
    command = [sys.executable, __file__, "--read", str(folder)]
    output = subprocess.run(command, env=environment, capture_output=True, check=True, cwd=folder).stdout
    found: dict[str, str] = json.loads(output)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.read:
        print(json.dumps({path.name: answer(path) for path in sorted(wanted.read.iterdir())}))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder, made = Path(name), []
        for number, fault in enumerate(faults()):
            path = folder / f"{number:02}{fault.suffix}"
            fault.write(path)
            made.append((fault, path.name))
        columns = [answers(folder, tree) for tree in ([wanted.before, None] if wanted.before else [None])]
    print("| fault | true |" + (" before |" if wanted.before else "") + " now |")
    print("|---" * (2 + len(columns)) + "|")
    for fault, key in made:
        cells = [f"{fault.suffix[1:]}: {fault.name}", fault.truth, *(column[key] for column in columns)]
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
