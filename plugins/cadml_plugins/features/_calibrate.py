"""Works out the constants of the embedding from real parts and writes ``_constants.py``.

    cadml ingest FOLDER... && cadml export parts.npz --version v4
    python -m cadml_plugins.features._calibrate parts.npz

Each slot is centred on its mean and scaled by its standard deviation over the parts, after the
logarithm where the slot is a magnitude. Formats count alike, however many files each has.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cadml_core import FeatureSlot
from cadml_plugins.features._measures import MEASURES

UNBOUNDED_RATIOS = frozenset({"width_height_ratio", "width_depth_ratio"})
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


def constants(values: NDArray[np.float64], formats: NDArray[np.str_]) -> list[tuple[bool, float, float]]:
    """Return (logarithmic, centre, scale) of each slot from raw values (n, 24) and n format names."""
    _, inverse, counts = np.unique(formats, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[inverse]
    rows = []
    for column, measure in enumerate(MEASURES):
        logarithmic = is_magnitude(measure.slot)
        mapped = np.log1p(values[:, column]) if logarithmic else values[:, column]
        centre = float(np.average(mapped, weights=weights))
        spread = float(np.sqrt(np.average((mapped - centre) ** 2, weights=weights)))
        rows.append((logarithmic, round(centre, 4), round(spread, 4) or 1.0))
    return rows


def main(export: Path) -> None:
    """Read an exported ``.npz`` and write the constants beside this module."""
    with np.load(export) as data:
        rows = constants(data["values"], data["formats"])
    lines = [
        f'    "{measure.slot.name}": Constant({row[0]}, {row[1]}, {row[2]}),\n'
        for measure, row in zip(MEASURES, rows, strict=True)
    ]
    Path(__file__).with_name("_constants.py").write_text(HEADER + "".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
