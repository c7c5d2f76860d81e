"""Raw values made comparable: histograms as their square roots, every value over its spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core import FloatMatrix
from cadml_plugins.features.shape._description import PLACES, WIDTH
from cadml_plugins.features.shape._surface import Floats

CLIP = 4.0
"""Standard deviations beyond which a value says no more."""

_HISTOGRAMS = {
    "edge": ((0, 25),),
    "ppf": ((0, 153),),
    "plane": ((0, 18),),
    "d1": ((0, 24),),
    "rays": ((0, 40),),
    # Neither the counts, which are logarithms, nor the sparse neighbourhoods.
    "brep": ((0, 68), (80, 135)),
}


def _shares() -> NDArray[np.bool_]:
    marked = np.zeros(WIDTH, np.bool_)
    for name, ranges in _HISTOGRAMS.items():
        for start, stop in ranges:
            marked[PLACES[name].start + start : PLACES[name].start + stop] = True
    return marked


_SHARES = _shares()


def rooted(values: FloatMatrix, place: slice = slice(None)) -> Floats:
    """Return raw values, (n, WIDTH) or those at ``place``, with square roots of the shares in histograms."""
    result: Floats = np.clip(values[:, place].astype(np.float64), -1e6, 1e6)
    np.sqrt(np.maximum(result, 0.0), out=result, where=_SHARES[place])
    return result


def standard(rows: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Return how many deviations values lie from the mean, cut at ``CLIP``."""
    return np.clip((rows - mean) / deviation, -CLIP, CLIP)
