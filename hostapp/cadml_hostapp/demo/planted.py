"""Writes the sample parts, and records which pairs of related parts are among them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from cadml_hostapp.demo import solids
from cadml_hostapp.demo.solids import Solid

Task = Callable[[], Any]
Relation = Literal["copy", "twin", "mirror", "other format", "scaled"]

RELATIONS: dict[Relation, str] = {
    "copy": "same file, other name",
    "twin": "same part, moved",
    "mirror": "mirror image",
    "other format": "other format",
    "scaled": "scaled 1.5 times",
}


class Planted(msgspec.Struct, frozen=True):
    """Two files and how they are related."""

    relation: Relation
    query: str
    """File name, below the sample folder."""
    partner: str


class Samples(msgspec.Struct, frozen=True):
    """What was written."""

    folder: Path
    files: int
    planted: tuple[Planted, ...]


SIZES = (1.0, 1.35, 1.9, 2.6)
FAMILIES: dict[str, Callable[[float, int], Solid]] = {
    "plate": lambda s, n: solids.plate(80 * s, 50, 6 + n, (2 + n, 2), 6.0),
    "bracket": lambda s, n: solids.bracket(60 * s, 40 + 9 * n, 30, 5.0),
    "flange": lambda s, n: solids.flange(50 * s, 18 * s, 12, 4 + 2 * n),
    "shaft": lambda s, n: solids.shaft(tuple(20 - 4.0 * i for i in range(2 + n % 3)), 35 * s),
    "washer": lambda s, n: solids.tube(12 * s, 6.4 * s, 2.0 + 0.5 * n),
    "tube": lambda s, n: solids.tube(16 + 3 * n, 12 + 2 * n, 120 * s),
    "channel": lambda s, n: solids.channel(150 * s, 40, 25 + 6 * n, 4),
    "nozzle": lambda s, n: solids.nozzle(24 * s, 10, 45 + 12 * n, 4 + n),
    "housing": lambda s, n: solids.pocketed(70 * s, 55, 30 + 7 * n, 6),
}


CHANGES: dict[Relation, Callable[[Solid], Solid]] = {
    "twin": lambda solid: solids.moved(solid, (12.0, -7.0, 30.0)),
    "mirror": solids.mirrored,
    "other format": lambda solid: solid,
    "scaled": lambda solid: solids.scaled(solid, 1.5),
}
PLAN: tuple[tuple[Relation, str, int, str], ...] = (
    ("twin", "plate", 2, ".step"),
    ("twin", "flange", 3, ".step"),
    ("twin", "housing", 1, ".step"),
    ("mirror", "bracket", 1, ".step"),
    ("mirror", "bracket", 3, ".step"),
    ("mirror", "housing", 2, ".step"),
    ("other format", "washer", 2, ".iges"),
    ("other format", "channel", 3, ".iges"),
    ("other format", "nozzle", 4, ".iges"),
    ("scaled", "shaft", 1, ".step"),
    ("scaled", "tube", 4, ".step"),
    ("scaled", "plate", 4, ".step"),
)
"""What is derived from which part of which family."""


def write_samples(folder: Path, progress: Callable[[int, int | None], None]) -> Samples:
    """Write about 60 parts to a folder of their own, which is emptied first.

    Raises:
        OSError: The folder cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    planted: list[Planted] = []
    tasks = [*_families(folder), *_derived(folder, planted), *_others(folder, planted)]
    for done, task in enumerate(tasks, start=1):
        task()
        progress(done, len(tasks))
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    return Samples(folder, files, tuple(planted))


def _solid(family: str, number: int) -> Solid:
    return FAMILIES[family](SIZES[number - 1], number - 1)


def _families(folder: Path) -> Iterator[Task]:
    for family in FAMILIES:
        for number in range(1, len(SIZES) + 1):
            yield partial(_write, family, number, folder / family / f"{family}-{number}.step")


def _derived(folder: Path, planted: list[Planted]) -> Iterator[Task]:
    for number, (relation, family, size, suffix) in enumerate(PLAN, start=100):
        name = f"inbox/P{number}{suffix}"
        planted.append(Planted(relation, name, f"{family}/{family}-{size}.step"))
        yield partial(_write, family, size, folder / name, CHANGES[relation])


def _others(folder: Path, planted: list[Planted]) -> Iterator[Task]:
    for name in ("shaft-3", "channel-1"):
        original = f"{name.split('-')[0]}/{name}.step"
        planted.append(Planted("copy", f"inbox/Copy of {name}.step", original))
        yield partial(shutil.copyfile, folder / original, folder / "inbox" / f"Copy of {name}.step")
    for number in (1, 2):
        yield partial(_write, "flange", number, folder / "mesh" / f"flange-{number}.stl")
    planted.append(Planted("twin", "inbox/scan.stl", "mesh/flange-2.stl"))
    yield partial(_write, "flange", 2, folder / "inbox" / "scan.stl", CHANGES["twin"])
    for number in (1, 2, 3):
        yield partial(draw, folder / "drawing" / f"plate-{number}.dxf", number)
    planted.append(Planted("twin", "inbox/D200.dxf", "drawing/plate-2.dxf"))
    yield partial(draw, folder / "inbox" / "D200.dxf", 2, (300.0, 40.0))
    yield partial(_tear, folder / "plate" / "plate-1.step", folder / "inbox" / "torn.step")


def _write(
    family: str, number: int, path: Path, change: Callable[[Solid], Solid] = CHANGES["other format"]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    solids.write(change(_solid(family, number)), path)


def _tear(source: Path, target: Path) -> None:
    whole = source.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])


def draw(path: Path, number: int, origin: tuple[float, float] = (0.0, 0.0)) -> None:
    """Draw the outline of a drilled plate, with its dimensions on a layer of their own."""
    from ezdxf import units
    from ezdxf.filemanagement import new

    x, y = origin
    width, depth = 80.0 + 25 * number, 50.0
    drawing = new("R2010", units=units.MM)
    for layer in ("OUTLINE", "HOLES", "TEXT"):
        drawing.layers.add(layer)
    model = drawing.modelspace()
    corners = [(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)]
    model.add_lwpolyline(corners, close=True, dxfattribs={"layer": "OUTLINE"})
    for column in range(1 + number):
        centre = (x + (column + 0.5) * width / (1 + number), y + depth / 2)
        model.add_circle(centre, 4.0, dxfattribs={"layer": "HOLES"})
    model.add_text(f"PLATE {number}", dxfattribs={"layer": "TEXT"}).set_placement((x, y - 10))
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.saveas(path)
