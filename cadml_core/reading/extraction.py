"""Have feature versions measure a document, and hold them to their contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from cadml_core.contracts.faults import broken, raised
from cadml_core.contracts.features import FeatureVersion, comparable, embedded
from cadml_core.documents.arrays import FloatVector
from cadml_core.documents.document import CadDocument
from cadml_core.errors import CadmlError, ReaderCrashed
from cadml_core.reading.steps import extract_step


def extract_all(
    document: CadDocument, wanted: Sequence[FeatureVersion], note: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the raw values and the seconds taken, by version; ``note`` is told what is called next."""
    vectors, seconds = {}, {}
    for version in wanted:
        note(extract_step(version.name))
        start = time.perf_counter()
        vectors[version.name] = _extract_values(version, document).tolist()
        seconds[version.name] = time.perf_counter() - start
    return vectors, seconds


def _extract_values(version: FeatureVersion, document: CadDocument) -> FloatVector:
    try:
        return extract_values(version, document)
    except MemoryError:
        pass
    # Outside of the handler, or else it would count as an error of memory that nobody has explained.
    raise ReaderCrashed(
        f"the feature version {version.name} ran out of memory in extract; raise PARSE_MEMORY_MB if"
        " it is wanted",
        reason="memory",
        during=extract_step(version.name),
    )


def extract_values(version: FeatureVersion, document: CadDocument) -> FloatVector:
    """Return the raw values of a document, checked against the contract of feature versions.

    Returns:
        float64 (number of slots,), finite; a copy, whatever the feature version keeps.

    Raises:
        CadmlError: With INTERNAL_ERROR: the feature version broke its promise.
    """
    try:
        values = np.array(version.extract(document), dtype=np.float64)
    except (CadmlError, MemoryError):
        raise
    # The same boundary as for adapters: third-party code may raise anything.
    except Exception as error:
        raise _broken(version, raised(error)) from error
    if values.shape != (len(version.slots),):
        raise _broken(version, f"returned shape {values.shape}, expected ({len(version.slots)},)")
    if not np.isfinite(values).all():
        slots = [version.slots[index].name for index in np.flatnonzero(~np.isfinite(values))]
        raise _broken(version, f"returned values that are not finite: {', '.join(slots)}")
    if not comparable(version, values[np.newaxis, :])[0]:
        if np.isnan(embedded(version, values[np.newaxis, :])).any():
            raise broken("feature version", version, "embed", "returned NaN", stage="features")
        raise _broken(version, "returned values that are too large to be compared")
    return values


def _broken(version: FeatureVersion, fault: str) -> CadmlError:
    return broken("feature version", version, "extract", fault, stage="features")
