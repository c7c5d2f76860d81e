"""A feature version made of measures, with the scaled embedding that all four share."""

from __future__ import annotations

import numpy as np

from cadml_core import CadDocument, DimensionMismatch, Metric
from cadml_core.features import FloatMatrix, FloatVector
from cadml_plugins.features._constants import CONSTANTS
from cadml_plugins.features._measures import measures_until

_LARGEST = np.finfo(np.float32).max


class MeasuredVersion:
    """Slots v1 up to ``name``. Raw values are the measures as they are; the embedding takes the
    logarithm of magnitudes and scales each slot by its spread among parts of one
    family."""

    needs_mesh = False
    metric: Metric = "l2"

    def __init__(self, name: str) -> None:
        self.name = name
        self._measures = measures_until(name)
        self.slots = tuple(measure.slot for measure in self._measures)
        constants = [CONSTANTS[slot.name] for slot in self.slots]
        self._logarithmic = np.array([constant.logarithmic for constant in constants])
        self._centre = np.array([constant.centre for constant in constants])
        self._scale = np.array([constant.scale for constant in constants])

    def __reduce__(self) -> tuple[type[MeasuredVersion], tuple[str]]:
        """Travel to the reader processes by name."""
        return (MeasuredVersion, (self.name,))

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),). What overflows becomes the largest float32."""
        values = np.array([measure.of(document) for measure in self._measures], dtype=np.float64)
        return np.clip(values, 0.0, _LARGEST)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, len(slots)): ``(f(x) - centre) / scale`` where
        f is ln(1 + x) for a magnitude and the identity for a ratio or flag.

        Raises:
            DimensionMismatch: ``values`` has another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.slots):
            raise DimensionMismatch(expected=len(self.slots), found=values.shape[-1])
        result: FloatVector = values.astype(np.float64)
        columns = self._logarithmic
        result[:, columns] = np.log1p(np.maximum(result[:, columns], 0.0))
        embedded: FloatMatrix = ((result - self._centre) / self._scale).astype(np.float32)
        return embedded
