"""The array types that contracts speak of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatVector = NDArray[np.float64]
"""One row of numbers: float64 (n,)."""
FloatMatrix = NDArray[np.float64] | NDArray[np.float32]
"""Rows of numbers: float64 or float32 (n, columns)."""
Int64Array = NDArray[np.int64]
"""Ids or row numbers: int64 (n,)."""
