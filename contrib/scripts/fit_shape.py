"""Fit the weights of the feature version shape: normalisation, whitening and the expected distance of B-reps.

    python contrib/scripts/fit_shape.py parts.npz [--out FILE]

``parts.npz`` has ``values`` (n, slots of shape), ``families`` (n names, empty where unknown: not fitted on)
and ``groups`` (n numbers: rows of one part in several formats or places share one, -1 for none). A table of
drawings has no parts with a surface, and the other way round: what a table has none of keeps its weights.
``contrib/scripts/describe_parts.py`` writes it from folders with a manifest. How good the weights are on
families that they have not seen, ``contrib/scripts/bench_retrieval.py`` tells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.features.shape._description import BLOCKS, DRAWING, EXACT, PLACES, SIDES, SURFACE
from cadml_plugins.features.shape._metric import INDEXED, WEIGHTS, Metric
from cadml_plugins.features.shape._normal import rooted, standard

Floats = NDArray[np.float64]
COMPONENTS = {"mesh": 180, "brep": 70, "drawing": INDEXED}
SHRINK = {"mesh": 0.1, "brep": 0.3, "drawing": 0.1}
FLAGS = {"mesh": SURFACE, "brep": EXACT, "drawing": DRAWING}
TWINS = 16.0
"""How much a difference between formats of one part counts over one between parts of a family."""
QUANTILES = 40


def fit(values: Floats, families: NDArray[np.str_], groups: NDArray[np.int64]) -> dict[str, Floats]:
    """Return the weights, by their names in the file, of the sides that these parts have."""
    figures, weights, components = rooted(values), {}, {}
    rows = {name: np.flatnonzero((families != "") & (values[:, flag] > 0)) for name, flag in FLAGS.items()}
    for name, place in SIDES.items():
        if not len(own := rows[name]):
            continue
        side = figures[:, place]
        twins = _twins(values, groups) if name == "mesh" else np.empty((0, 2), np.int64)
        matrix, mean, deviation, offset = _fit_side(name, side, own, families, twins)
        weights[f"{name}_mean"], weights[f"{name}_deviation"] = mean, deviation
        weights[f"{name}_matrix"], weights[f"{name}_offset"] = matrix, offset
        components[name] = standard(side, mean, deviation) @ matrix
    if len(rows["brep"]):
        weights |= _expectation(components["mesh"][rows["brep"]], components["brep"][rows["brep"]])
    if len(rows["drawing"]):
        drawn = components["drawing"][rows["drawing"]]
        pairs = np.triu_indices(len(drawn), 1)
        weights["drawing_median"] = np.array(np.median(_squared(drawn)[pairs]))
    return weights


def _fit_side(
    name: str, side: Floats, own: NDArray[np.int64], families: NDArray[np.str_], twins: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the matrix of a side, and the mean, deviation and offset that belong to it."""
    mean, deviation = side[own].mean(axis=0), side[own].std(axis=0)
    deviation = np.where(deviation < 1e-4, 1.0, deviation)
    scale = _block_scale(SIDES[name])
    spread = standard(side, mean, deviation) * scale
    centre = spread[own].mean(axis=0)
    _, _, axes = np.linalg.svd(spread[own] - centre, full_matrices=False)
    axes = _signed(axes[: COMPONENTS[name]].T)
    reduced = (spread - centre) @ axes
    noise = _within(reduced[own], families[own])
    if len(twins):
        apart = reduced[twins[:, 0]] - reduced[twins[:, 1]]
        noise = noise + TWINS / 2 * (apart.T @ apart) / len(twins)
    whitening = _inverse_root(_shrunk(noise, SHRINK[name]))
    whitened = reduced[own] @ whitening
    _, _, turned = np.linalg.svd(whitened - whitened.mean(axis=0), full_matrices=False)
    matrix = scale[:, None] * (axes @ whitening @ _signed(turned.T))
    matrix = matrix.astype(np.float32).astype(np.float64)
    return matrix, mean, deviation, (centre / scale) @ matrix


def _block_scale(place: slice) -> Floats:
    """Return one over the root of each figure's block's width, so that blocks count alike."""
    widths = [width for name, (width, _) in BLOCKS.items() if place.start <= PLACES[name].start < place.stop]
    return np.concatenate([np.full(width, width**-0.5) for width in widths])


def _signed(axes: Floats) -> Floats:
    """Return columns whose largest entry is positive: the sign of a singular vector is arbitrary."""
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    signed: Floats = axes * np.sign(largest)
    return signed


def _twins(values: Floats, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs of rows of one part, the first row of a group with each other."""
    pairs = []
    for group in np.unique(groups[groups >= 0]):
        first, *others = np.flatnonzero((groups == group) & (values[:, 0] > 0))
        pairs += [(first, other) for other in others]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _within(rows: Floats, families: NDArray[np.str_]) -> Floats:
    """Return the covariance of parts about the mean of their family."""
    total, freedom = np.zeros((rows.shape[1], rows.shape[1])), 0
    for family in np.unique(families):
        about = rows[families == family] - rows[families == family].mean(axis=0)
        total += about.T @ about
        freedom += len(about) - 1
    return total / freedom


def _shrunk(covariance: Floats, share: float) -> Floats:
    size = len(covariance)
    return (1 - share) * covariance + share * np.trace(covariance) / size * np.eye(size)


def _inverse_root(covariance: Floats) -> Floats:
    sizes, axes = np.linalg.eigh(covariance)
    root: Floats = (axes / np.sqrt(sizes)) @ axes.T
    return root


def _expectation(meshes: Floats, breps: Floats) -> dict[str, Floats]:
    """Return the usual squared distance of B-reps for that of meshes, and the median of both.

    Quantiles of pairs, denser towards near ones, where ranks are decided; 0 for copies; made
    monotone.
    """
    pairs = np.triu_indices(len(meshes), 1)
    mesh, brep = (_squared(components)[pairs] for components in (meshes, breps))
    limits = np.quantile(mesh, np.append(0.0, np.geomspace(2e-4, 1.0, QUANTILES)))
    place = np.clip(np.searchsorted(limits, mesh, side="right") - 1, 0, QUANTILES - 1)
    filled = [number for number in range(QUANTILES) if (place == number).any()]
    return {
        "expected_at": np.array([0.0, *(mesh[place == number].mean() for number in filled)]),
        "expected": np.maximum.accumulate([0.0, *(brep[place == number].mean() for number in filled)]),
        "mesh_median": np.array(np.median(mesh)),
        "brep_median": np.array(np.median(brep)),
    }


def _squared(rows: Floats) -> Floats:
    lengths = (rows**2).sum(axis=1)
    return np.maximum(lengths[:, None] + lengths - 2 * rows @ rows.T, 0.0)


def write(weights: dict[str, Floats], path: Path) -> None:
    """Write weights, matrices in single precision."""
    single = {name: value.astype(np.float32) if value.ndim == 2 else value for name, value in weights.items()}
    np.savez_compressed(path, **single)  # type: ignore[arg-type]


def main() -> None:
    """Fit on all parts, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, help="the file that describe_parts.py wrote")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where to write the weights")
    arguments = parser.parse_args()
    with np.load(arguments.parts, allow_pickle=False) as table:
        weights = fit(table["values"].astype(np.float64), table["families"], table["groups"])
    with np.load(WEIGHTS, allow_pickle=False) as file:
        weights = {name: file[name] for name in file.files} | weights
    write(weights, arguments.out)
    Metric(arguments.out)  # refuses what it could not use
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
