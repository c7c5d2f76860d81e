"""Good files of every format, made in code: what the fuzzer damages and the benchmarks read."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = ("step", "iges", "dxf", "stl")


def write_samples(folder: Path, each: int, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write ``each`` files of each format, no two of one format alike; returns them format by format.

    The CAD kernel is loaded only where STEP or IGES files are asked for.
    """
    logging.getLogger("ezdxf").setLevel(logging.ERROR)
    if {"step", "iges"} & set(formats):
        _silence_kernel()
    makers: dict[str, Callable[[Path, int], None]] = {
        "step": _step, "iges": _iges, "dxf": _dxf, "stl": _stl,
    }  # fmt: skip
    paths = []
    for name in formats:
        for number in range(each):
            path = folder / f"part-{number:03}.{name}"
            makers[name](path, number)
            paths.append(path)
    return paths


def _silence_kernel() -> None:
    """Keep reports of success off the terminal."""
    from OCP.Message import Message, Message_PrinterOStream

    Message.DefaultMessenger_s().RemovePrinters(Message_PrinterOStream.get_type_descriptor_s())


def solid(number: int) -> Any:
    """Return one of a few kinds of solid, of a size that the number decides."""
    from OCP.BRepAlgoAPI import BRepAlgoAPI_Cut, BRepAlgoAPI_Fuse
    from OCP.BRepPrimAPI import (
        BRepPrimAPI_MakeBox,
        BRepPrimAPI_MakeCone,
        BRepPrimAPI_MakeCylinder,
        BRepPrimAPI_MakeSphere,
        BRepPrimAPI_MakeTorus,
    )

    size = 10.0 + number
    kinds = (
        lambda: BRepPrimAPI_MakeBox(size, size + 5, 4.0),
        lambda: BRepAlgoAPI_Cut(
            BRepPrimAPI_MakeBox(size, size, 6.0).Shape(), BRepPrimAPI_MakeCylinder(size / 4, 20.0).Shape()
        ),
        lambda: BRepAlgoAPI_Fuse(
            BRepPrimAPI_MakeCylinder(size, 5.0).Shape(), BRepPrimAPI_MakeCone(size / 2, 1.0, 20.0).Shape()
        ),
        lambda: BRepAlgoAPI_Fuse(
            BRepPrimAPI_MakeTorus(size, size / 5).Shape(), BRepPrimAPI_MakeSphere(size / 2).Shape()
        ),
        lambda: BRepAlgoAPI_Cut(
            BRepPrimAPI_MakeSphere(size).Shape(), BRepPrimAPI_MakeBox(size, size, size).Shape()
        ),
    )
    return kinds[number % len(kinds)]().Shape()


def _placed(shape: Any, number: int) -> Any:
    """Return a body and the same again, turned, moved and through the first: several uses that meet."""
    from OCP.BRep import BRep_Builder
    from OCP.gp import gp_Ax1, gp_Dir, gp_Pnt, gp_Trsf, gp_Vec
    from OCP.TopLoc import TopLoc_Location
    from OCP.TopoDS import TopoDS_Compound

    turn, move = gp_Trsf(), gp_Trsf()
    turn.SetRotation(gp_Ax1(gp_Pnt(0, 0, 0), gp_Dir(0, 0, 1)), 0.1 * number)
    move.SetTranslation(gp_Vec(3.0, number, 0.0))
    both = TopoDS_Compound()
    builder = BRep_Builder()
    builder.MakeCompound(both)
    builder.Add(both, shape)
    builder.Add(both, shape.Moved(TopLoc_Location(move.Multiplied(turn))))
    return both


def _step(path: Path, number: int) -> None:
    from OCP.STEPControl import STEPControl_AsIs, STEPControl_Writer

    writer = STEPControl_Writer()
    writer.Transfer(_placed(solid(number), number) if number % 3 == 2 else solid(number), STEPControl_AsIs)
    writer.Write(str(path))


def _iges(path: Path, number: int) -> None:
    from OCP.IGESControl import IGESControl_Writer

    writer = IGESControl_Writer("MM", number % 2)  # faces, or solids as B-rep entities
    writer.AddShape(solid(number))
    writer.ComputeModel()
    writer.Write(str(path))


def _dxf(path: Path, number: int) -> None:
    import ezdxf

    versions = ("R12", "R2000", "R2007", "R2010", "R2018")
    version = versions[number % len(versions)]
    drawing = ezdxf.new(version, setup=True, units=0 if version == "R12" else (4, 0, 1, 6)[number % 4])
    space = drawing.modelspace()
    for index in range(8 + number % 20):
        x = float(index * 3 + number)
        drawing.layers.add(f"layer {index}")
        attributes = {"layer": f"layer {index}"}
        space.add_line((x, 0), (x + 5, number), dxfattribs=attributes)
        space.add_circle((x, 4), 1.5 + index, dxfattribs=attributes)
        space.add_arc((x, 9), 2.5, 10, 190, dxfattribs=attributes)
        space.add_text(f"note {index}", height=2.5, dxfattribs=attributes).set_placement((x, 12))
    _add_newer_entities(space, number)
    block = drawing.blocks.new("BOLT")
    block.add_circle((0, 0), 3)
    block.add_line((-4, 0), (4, 0))
    for index in range(4):
        space.add_blockref(
            "BOLT", (index * 20.0, 40), dxfattribs={"xscale": 1 + index, "rotation": 30 * index}
        )
    drawing.saveas(path, fmt="bin" if number % 4 == 3 else "asc")


def _add_newer_entities(space: Any, number: int) -> None:
    if space.dxfversion < "AC1015":  # R12 has none of these
        return
    space.add_lwpolyline([(0, 0), (number + 9, 0), (number + 9, 7, 0, 0, 0.5), (0, 7)], close=True)
    space.add_ellipse((0, 0), (12, 3), 0.4, 0, 6.28318530718 if number % 2 else 4.0)
    space.add_spline([(0, 0), (4, 9), (9, -3), (15, number)])
    space.add_mtext("several\nlines")
    space.add_xline((number, 90), (1, 1))
    space.add_mline([(0, 0), (number + 4, 0), (9, 9)])
    corners = [(0, 0), (0, number + 3), (8, number + 3), (8, 0)]
    space.add_spline().set_uniform(corners)
    boundary = space.add_hatch().paths.add_edge_path()
    boundary.add_spline(control_points=corners, degree=3, knot_values=[0, 0, 0, 0, 1, 1, 1, 1])
    boundary.add_line((8, 0), (0, 0))


def _stl(path: Path, number: int) -> None:
    ball = _ball(6 + number % 12, 5.0 + number)
    kinds = (
        lambda: ball,
        lambda: ball / 1000.0,  # as if in metres
        lambda: np.concatenate([ball, ball[:, ::-1] + 100.0]),  # two bodies that cancel
        lambda: ball + np.random.default_rng(number).normal(0.0, 1e-7, ball.shape),  # open by rounding
        lambda: ball / 25.4,  # as if in inches
    )
    facets = kinds[number % len(kinds)]()
    if number % 2:
        text = _ascii(facets)
        path.write_text(text.replace("endsolid", "end solid") if number % 3 else text, encoding="ascii")
    else:
        path.write_bytes(_binary(facets))


def _ball(bands: int, radius: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the facets of a sphere, (n, 3, 3)."""
    theta, phi = np.linspace(0, np.pi, bands + 1), np.linspace(0, 2 * np.pi, 2 * bands + 1)
    points = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
        ],
        axis=-1,
    )
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    facets = np.concatenate(
        [
            np.stack([a, b, c], axis=2)[1:].reshape(-1, 3, 3),
            np.stack([a, c, d], axis=2)[:-1].reshape(-1, 3, 3),
        ]
    )
    return np.asarray(facets * radius)


def _normals(facets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    normals = np.cross(facets[:, 1] - facets[:, 0], facets[:, 2] - facets[:, 0])
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def _binary(facets: np.ndarray[Any, Any]) -> bytes:
    record = np.dtype([("numbers", "<f4", (4, 3)), ("attribute", "<u2")])
    rows = np.zeros(len(facets), dtype=record)
    rows["numbers"][:, 0] = _normals(facets)
    rows["numbers"][:, 1:] = facets
    return b"a sample part".ljust(80) + struct.pack("<I", len(rows)) + rows.tobytes()


def _ascii(facets: np.ndarray[Any, Any]) -> str:
    lines = ["solid sample"]
    for normal, facet in zip(_normals(facets), facets, strict=True):
        lines.append("  facet normal {:e} {:e} {:e}".format(*normal))
        lines.append("    outer loop")
        lines += ["      vertex {:e} {:e} {:e}".format(*vertex) for vertex in facet]
        lines += ["    endloop", "  endfacet"]
    return "\n".join([*lines, "endsolid sample", ""])
