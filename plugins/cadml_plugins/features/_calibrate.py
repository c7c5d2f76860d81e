"""Computes the constants of the embedding from labelled parts and writes ``_constants.py``.

    cadml ingest FOLDER... --label-from parent && cadml export parts.npz --version v4
    python -m cadml_plugins.features._calibrate parts.npz

Each slot is scaled by how much it varies among parts of one label, so that a distance of 1 is a typical
difference within a family, and a slot that varies little there weighs more. The scale is the geometric mean
of the pooled within-label variances of the formats in which the slot varies at all, so that each format
counts the same, whatever its number of files and range of values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cadml_core import FeatureSlot
from cadml_plugins.features._measures import MEASURES

UNBOUNDED_RATIOS = frozenset({"width_height_ratio", "width_depth_ratio"})
_CONSTANT_BELOW = 1e-12
"""A slot with a variance below this is constant within labels; 1 stands in for its scale."""
HEADER = '''"""Constants of the embedding, one row a slot. Written by ``_calibrate.py``; do not edit."""

from __future__ import annotations

from typing import NamedTuple


class Constant(NamedTuple):
    """Centre and scale of a slot, after ln(1 + x) where it is logarithmic."""

    logarithmic: bool
    centre: float
    scale: float


CONSTANTS = {
'''


def is_magnitude(slot: FeatureSlot) -> bool:
    """Tell whether a slot spans orders of magnitude, so that its logarithm is compared."""
    return slot.unit != "1" or slot.name in UNBOUNDED_RATIOS


def constants(
    values: NDArray[np.float64], labels: NDArray[np.str_], formats: NDArray[np.str_]
) -> list[tuple[bool, float, float]]:
    """Return (logarithmic, centre, scale) of each slot.

    Args:
        values: Raw v4 values, (n, 24).
        labels: n labels; parts with an empty label are left out.
        formats: n format names.
    """
    magnitudes = np.array([is_magnitude(measure.slot) for measure in MEASURES])
    mapped = np.where(magnitudes, np.log1p(values), values)[labels != ""]
    labels, formats = labels[labels != ""], formats[labels != ""]
    chosen = [formats == name for name in np.unique(formats)]
    centres = np.mean([mapped[rows].mean(axis=0) for rows in chosen], axis=0)
    variances = np.array([_within_label_variance(mapped[rows], labels[rows]) for rows in chosen])
    varies = variances > _CONSTANT_BELOW
    logarithms = np.log(variances, where=varies, out=np.zeros_like(variances))
    scales = np.exp(0.5 * logarithms.sum(axis=0) / np.maximum(varies.sum(axis=0), 1))
    rows = zip(magnitudes.tolist(), centres.round(4).tolist(), scales.round(4).tolist(), strict=True)
    return list(rows)


def _within_label_variance(values: NDArray[np.float64], labels: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return each column's variance about the mean of its label, pooled over labels with several parts."""
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.array([values[codes == code].mean(axis=0) for code in range(len(names))])
    shared = counts[codes] > 1
    freedom = max(1, int((counts[counts > 1] - 1).sum()))
    squares: NDArray[np.float64] = ((values - means[codes])[shared] ** 2).sum(axis=0)
    return squares / freedom


def main(export: Path) -> None:
    """Read an exported ``.npz`` and write the constants beside this module."""
    with np.load(export) as data:
        rows = constants(data["values"], data["labels"], data["formats"])
    lines = [
        f'    "{measure.slot.name}": Constant({row[0]}, {row[1]}, {row[2]}),\n'
        for measure, row in zip(MEASURES, rows, strict=True)
    ]
    Path(__file__).with_name("_constants.py").write_text(HEADER + "".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
