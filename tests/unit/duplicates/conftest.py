"""A catalogue that is searched for duplicates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cadml_core.catalog.store import Catalog
from tests.unit.duplicates.cleaning import Cleaning


@pytest.fixture
def cleaning(database_url: str) -> Iterator[Cleaning]:
    """An empty catalogue, in each kind of database."""
    with Catalog.open(database_url) as catalog:
        yield Cleaning(catalog)
