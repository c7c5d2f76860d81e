"""The array types that contracts speak of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatVector = NDArray[np.float64]
FloatMatrix = NDArray[np.float64] | NDArray[np.float32]
Int64Array = NDArray[np.int64]
