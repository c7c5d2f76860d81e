"""The distance between parts: whitened figures of the surface and of the exact faces, or of a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cadml_core import CadmlError, FloatMatrix
from cadml_plugins.features.shape._description import BLOCKS, DRAWING, EXACT, PLACES, SIDES
from cadml_plugins.features.shape._normal import rooted, standard
from cadml_plugins.features.shape._surface import Floats

Mask = NDArray[np.bool_]

WEIGHTS = Path(__file__).with_name("weights.npz")
INDEXED = 64
"""Leading components of the surface's vector, or of the drawing's, that an index holds."""
APART = 10.0
"""Distance between a drawing and a part with a surface: about 1 is usual between unrelated parts."""
CAP = 2.0
"""The exact faces count at most this many times what is usual at the distance of the surfaces: a fillet makes
other faces of many and changes little."""
_ROWS = 16
"""Rows at a time, which stay in the cache: products of one shape have the same bits wherever a row stands."""


@dataclass(frozen=True, slots=True)
class Side:
    """One part of the distance: a linear map of standardised figures."""

    mean: Floats
    deviation: Floats
    matrix: Floats
    """(figures, components), the first components separating parts most."""
    offset: Floats
    median: float
    """Of the squared distance between unrelated parts."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where parts lie."""

    mesh: Floats
    """Components of the surface, (n, components); of a drawing its own, and zeros."""
    brep: Floats
    """Components of the exact faces, (n, components)."""
    exact: Mask
    """Which parts have exact faces, (n,)."""
    drawn: Mask
    """Which are drawings, (n,)."""


class Metric:
    """What ``contrib/scripts/fit_shape.py`` has learned.

    Args:
        path: Its file.

    Raises:
        CadmlError: The file is missing, incomplete, or has values that are not finite.
    """

    def __init__(self, path: Path = WEIGHTS) -> None:
        weights = _load(path)
        self._sides = {
            name: Side(
                weights[f"{name}_mean"],
                weights[f"{name}_deviation"],
                weights[f"{name}_matrix"],
                weights[f"{name}_offset"],
                float(weights[f"{name}_median"]),
            )
            for name in SIDES
        }
        self._indexed = {
            name: np.ascontiguousarray(self._sides[name].matrix[:, :INDEXED]) for name in ("mesh", "drawing")
        }
        self._at, self._expected = weights["expected_at"], weights["expected"]

    def components(self, values: FloatMatrix, name: str, count: int | None = None) -> Floats:
        """Return the whitened components of one side, (n, count), of raw values, (n, WIDTH)."""
        side, place = self._sides[name], SIDES[name]
        matrix = self._indexed[name] if count == INDEXED else side.matrix[:, :count]
        found = np.empty((-(-len(values) // _ROWS) * _ROWS, matrix.shape[1]))
        block = np.zeros((_ROWS, matrix.shape[0]))
        for start in range(0, len(values), _ROWS):
            rows = values[start : start + _ROWS]
            block[: len(rows)] = standard(rooted(rows, place), side.mean, side.deviation)
            np.matmul(block, matrix, out=found[start : start + _ROWS])
        components: Floats = found[: len(values)] - side.offset[:count]
        return components

    def index_vectors(self, values: FloatMatrix) -> FloatMatrix:
        """Return the vectors to index, float32 (n, INDEXED + 1): 1 apart is usual between unrelated parts.

        The last column keeps drawings and parts with a surface ``APART``.
        """
        vectors = np.zeros((len(values), INDEXED + 1), np.float32)
        drawn = values[:, DRAWING] > 0.0
        for name, chosen in (("mesh", ~drawn), ("drawing", drawn)):
            scale = np.sqrt(self._sides[name].median)
            vectors[chosen, :INDEXED] = self.components(values[chosen], name, INDEXED) / scale
        vectors[drawn, INDEXED] = APART
        return vectors

    def place(self, values: FloatMatrix) -> Places:
        """Return where raw values, (n, WIDTH), lie, for ``between``."""
        drawn = values[:, DRAWING] > 0.0
        mesh, brep = (np.zeros((len(values), len(self._sides[name].offset))) for name in ("mesh", "brep"))
        mesh[~drawn] = self.components(values[~drawn], "mesh")
        brep[~drawn] = self.components(values[~drawn], "brep")
        mesh[drawn, : len(self._sides["drawing"].offset)] = self.components(values[drawn], "drawing")
        return Places(mesh, brep, values[:, EXACT] > 0.0, drawn)

    def packed(self, places: Places) -> NDArray[np.float32]:
        """Return places as rows, (n, components and 2)."""
        return np.column_stack([places.mesh, places.brep, places.exact, places.drawn]).astype(np.float32)

    def unpacked(self, rows: NDArray[np.float32]) -> Places:
        """Return the places that ``packed`` wrote."""
        exact, drawn, width = rows[:, -2] > 0.0, rows[:, -1] > 0.0, len(self._sides["mesh"].offset)
        values = rows[:, :-2].astype(np.float64)
        return Places(values[:, :width], values[:, width:], exact, drawn)

    def between(self, places: Places, position: int = 0) -> tuple[Floats, Floats]:
        """Return both parts of the squared distance of every part to one, (n,) each, over their medians.

        Where one of the two has no exact faces, what is usual at the distance of the surfaces stands in.
        Between drawings both are the squared distance of the strokes.
        """
        own = _squared(places.mesh, position)
        if places.drawn[position]:
            mesh = brep = own / self._sides["drawing"].median
        else:
            usual = np.interp(own, self._at, self._expected)
            known = places.exact & places.exact[position]
            exact = np.where(known, np.minimum(_squared(places.brep, position), CAP * usual), usual)
            mesh, brep = own / self._sides["mesh"].median, exact / self._sides["brep"].median
        alike = places.drawn == places.drawn[position]
        return np.where(alike, mesh, APART**2), np.where(alike, brep, APART**2)

    def distances(self, places: Places, position: int = 0) -> Floats:
        """Return the distance of every part to one of them, (n,): 1 is usual between unrelated parts."""
        mesh, brep = self.between(places, position)
        result: Floats = np.sqrt((mesh + brep) / 2)
        return result

    def shares(self, query: Floats, others: FloatMatrix) -> Floats:
        """Return each block's share of the squared distance, (n, number of blocks).

        A block's part is the product of what it adds to the difference with the whole difference; parts below
        0, of blocks that make others count less, are left out. Rows sum to 1, or are 0 where nothing differs.
        """
        together: Floats = np.vstack([query, others]).astype(np.float64)
        figures = rooted(together)
        squares = self.between(self.place(together))
        result = np.zeros((len(others), len(BLOCKS)))
        names = ("drawing",) if query[DRAWING] > 0.0 else ("mesh", "brep")
        for name, square in zip(names, squares, strict=False):
            side, place = self._sides[name], SIDES[name]
            rows = standard(figures[:, place], side.mean, side.deviation)
            difference = rows[1:] - rows[0]
            parts = difference * ((difference @ side.matrix) @ side.matrix.T)
            own = _blocks_of(place)
            ends = [list(PLACES.values())[number].start - place.start for number in own]
            result[:, own] = _to_one(np.maximum(np.add.reduceat(parts, ends, axis=1), 0.0)) * square[1:, None]
        return _to_one(result)


def _blocks_of(place: slice) -> list[int]:
    starts = [block.start for block in PLACES.values()]
    return [number for number, start in enumerate(starts) if place.start <= start < place.stop]


def _to_one(rows: Floats) -> Floats:
    totals = rows.sum(axis=1, keepdims=True)
    return rows / np.where(totals > 0.0, totals, 1.0)


def _squared(components: Floats, position: int) -> Floats:
    difference = components - components[position]
    squares: Floats = np.einsum("ij,ij->i", difference, difference)
    return squares


def _load(path: Path) -> dict[str, Floats]:
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name].astype(np.float64) for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error
    widths = {f"{name}_mean": place.stop - place.start for name, place in SIDES.items()}
    for name, width in widths.items():
        if name not in weights or weights[name].shape != (width,):
            found = weights[name].shape if name in weights else "nothing"
            raise _unusable(path, f"has {found} as {name}, expected ({width},)")
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise _unusable(path, f"has values that are not finite in {name}")
    return weights


def _unusable(path: Path, why: str) -> CadmlError:
    return CadmlError(
        f"the weights of the feature version shape, {path.name}, are unusable: the file {why}; install cadml"
        " again, or write them with contrib/scripts/fit_shape.py",
        stage="features",
        version="shape",
    )
