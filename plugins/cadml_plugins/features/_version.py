"""A feature version made of measures, with the scaled embedding that all four share."""

from __future__ import annotations

import numpy as np

from cadml_core import CadDocument, DimensionMismatch, FloatMatrix, FloatVector, Metric
from cadml_plugins.features._constants import CONSTANTS
from cadml_plugins.features._measures import Facts, measures_until

_LARGEST = float(np.finfo(np.float32).max)
"""Indexes hold float32: larger raw values would become infinite there."""


class MeasuredVersion:
    """The slots of v1 up to ``name``.

    Raw values are the measures as they are. The embedding takes the logarithm of magnitudes and divides
    each slot by its spread among parts of one family: over raw values, the volume slots would decide every
    distance.
    """

    needs_mesh = False
    metric: Metric = "l2"

    def __init__(self, name: str) -> None:
        self.name = name
        measures = measures_until(name)
        self.slots = tuple(measure.slot for measure in measures)
        self._measures = tuple(measure.of for measure in measures)
        constants = [CONSTANTS[slot.name] for slot in self.slots]
        self._logarithmic = np.array([constant.logarithmic for constant in constants])
        self._centre = np.array([constant.centre for constant in constants])
        self._scale = np.array([constant.scale for constant in constants])

    def __reduce__(self) -> tuple[type[MeasuredVersion], tuple[str]]:
        """Travel to the reader processes by name."""
        return (MeasuredVersion, (self.name,))

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),). What overflows becomes the largest float32."""
        facts = Facts(document)
        values = np.array([measure(facts) for measure in self._measures], dtype=np.float64)
        return values.clip(0.0, _LARGEST, out=values)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, len(slots)): ``(f(x) - centre) / scale`` where
        f is ln(1 + x) for a magnitude and the identity for a ratio or flag.

        Raises:
            DimensionMismatch: ``values`` has another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.slots):
            raise DimensionMismatch(expected=len(self.slots), found=values.shape[-1])
        result = values.astype(np.float64)
        np.log1p(np.maximum(result, 0.0), out=result, where=self._logarithmic)
        result -= self._centre
        result /= self._scale
        return result.astype(np.float32)
