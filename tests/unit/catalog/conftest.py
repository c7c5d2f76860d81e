"""A catalogue in each kind of database, and contents to put into it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from cadml_core.catalog.records import Content
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import BoundingBox, CadDocument


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(database_url) as opened:
        yield opened


@pytest.fixture
def content() -> Callable[..., Content]:
    """Make the content that a file with this text would have."""

    def make(text: str, *, adapter_version: str = "1", form: str = "step") -> Content:
        return Content(
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            size=len(text),
            format=form,
            adapter_version=adapter_version,
            document=CadDocument(
                format=form,
                entity_counts={"plane": 6},
                surface_count=6,
                bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0, 2.0, 0.1)),
                warnings=("ä: no unit given",),
            ),
        )

    return make
