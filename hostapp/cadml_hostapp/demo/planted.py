"""Writes the sample parts, and records which pairs of related parts are among them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from cadml_hostapp.demo import families, solids
from cadml_hostapp.demo.plan import PLAN, Plant, Planted

Task = Callable[[], Any]


class Samples(msgspec.Struct, frozen=True):
    """What was written."""

    folder: Path
    files: int
    planted: tuple[Planted, ...]


def write_samples(folder: Path, progress: Callable[[int, int | None], None]) -> Samples:
    """Write about 100 parts to a folder of their own, which is emptied first.

    Each file is in a folder that is named after the part's family.

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


def _families(folder: Path) -> Iterator[Task]:
    for family in families.FAMILIES:
        for number in range(1, len(families.SIZES) + 1):
            yield partial(_write, Plant("copy", family, number), folder / _base(family, number))


def _base(family: str, number: int) -> str:
    return f"{family}/{family}-{number}.step"


def _derived(folder: Path, planted: list[Planted]) -> Iterator[Task]:
    for number, plant in enumerate(PLAN, start=100):
        name = f"inbox/{plant.family}/P{number}{plant.suffix}"
        base = _base(plant.family, plant.number)
        planted.append(Planted(plant.derivation, name, base, plant.words, plant.limit))
        yield partial(_write, plant, folder / name)


def _others(folder: Path, planted: list[Planted]) -> Iterator[Task]:
    for family, number in (("shaft", 3), ("channel", 1)):
        original = _base(family, number)
        copy = f"inbox/{family}/Copy of {Path(original).name}"
        planted.append(Planted("copy", copy, original))
        yield partial(_copy, folder / original, folder / copy)
    scanned = Plant("twin", "flange", 1, suffix=".stl")
    planted.append(Planted("twin", "inbox/flange/scan.stl", "flange/flange-1.stl"))
    yield partial(_write, scanned, folder / "flange" / "flange-1.stl")
    moved = scanned._replace(change=partial(solids.moved, by=(12.0, -7.0, 30.0)))
    yield partial(_write, moved, folder / "inbox" / "flange" / "scan.stl")
    for number in (1, 2, 3):
        yield partial(draw, folder / "drawing" / f"plate-{number}.dxf", number)
    planted.append(Planted("drawing", "inbox/drawing/D200.dxf", "drawing/plate-2.dxf"))
    yield partial(draw, folder / "inbox" / "drawing" / "D200.dxf", 2, (300.0, 40.0))
    planted.append(Planted("turned drawing", "inbox/drawing/D201.dxf", "drawing/plate-3.dxf"))
    yield partial(draw, folder / "inbox" / "drawing" / "D201.dxf", 3, turn=30.0)
    yield partial(_tear, folder / "plate" / "plate-1.step", folder / "inbox" / "torn.step")


def _write(plant: Plant, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    solid = plant.change(families.part(plant.family, plant.number))
    solids.write(solid, path, inch=plant.inch, deflection=plant.deflection)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _tear(source: Path, target: Path) -> None:
    whole = source.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])


def draw(path: Path, number: int, origin: tuple[float, float] = (0.0, 0.0), turn: float = 0.0) -> None:
    """Draw the outline of a drilled plate, turned by degrees, with its dimensions on a layer of their own."""
    from ezdxf import units
    from ezdxf.filemanagement import new
    from ezdxf.math import Matrix44

    width, depth = 80.0 + 25 * number, 50.0
    drawing = new("R2010", units=units.MM)
    for layer in ("OUTLINE", "HOLES", "TEXT"):
        drawing.layers.add(layer)
    model = drawing.modelspace()
    corners = [(0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)]
    model.add_lwpolyline(corners, close=True, dxfattribs={"layer": "OUTLINE"})
    for column in range(1 + number):
        centre = ((column + 0.5) * width / (1 + number), depth / 2)
        model.add_circle(centre, 4.0, dxfattribs={"layer": "HOLES"})
    model.add_text(f"PLATE {number}", dxfattribs={"layer": "TEXT"}).set_placement((0.0, -10.0))
    place = Matrix44.z_rotate(math.radians(turn)) @ Matrix44.translate(*origin, 0.0)
    for entity in model:
        entity.transform(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.saveas(path)
