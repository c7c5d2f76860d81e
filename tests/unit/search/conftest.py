"""A small catalogue, a feature version of three slots, and both exact backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cadml_core import CadDocument, FeatureSlot, Metric, VectorBackend
from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_plugins.vectors.faiss import FaissBackend
from cadml_plugins.vectors.memory import MemoryBackend


class Box:
    """Three slots; the embedding divides the third by 100."""

    name = "box"
    slots = tuple(FeatureSlot(name, "geometric", "box", "mm", name) for name in ("width", "height", "depth"))
    needs_mesh = False
    metric: Metric = "l2"

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the extents."""
        assert document.bounding_box is not None
        return np.array(document.bounding_box.extents)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Divide the third column by 100."""
        return np.asarray(values / np.array([1.0, 1.0, 100.0]), dtype=np.float32)


@pytest.fixture
def box() -> Box:
    """The feature version."""
    return Box()


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(sqlite_url) as opened:
        yield opened


@pytest.fixture(params=[FaissBackend(), MemoryBackend()], ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> VectorBackend:
    """Each backend."""
    chosen: VectorBackend = request.param
    return chosen


@pytest.fixture
def boxes() -> Any:
    """Make parts with box vectors: ``boxes(a=(1, 2, 3), ...)``."""

    def make(**vectors: tuple[float, float, float]) -> list[NewPart]:
        return [
            NewPart(id=name, vectors={"box": Vector(np.array(values, dtype=np.float64))})
            for name, values in vectors.items()
        ]

    return make
