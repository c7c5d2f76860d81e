"""What an operator asks of the index is done by every process on the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.errors import PluginUnavailable
from cadml_core.search.index.shared import SharedIndexes
from cadml_core.search.index.sync import BackendChoice, backend_config
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.testing.faults import FaultPlan, FaultyBackend
from cadml_plugins.vectors.memory import MemoryBackend


class Process:
    """A server process's view: its search, and what it follows."""

    def __init__(self, catalog: Catalog, box: Any) -> None:
        self.plan = FaultPlan()
        backend = FaultyBackend(MemoryBackend(), self.plan)
        self.search = SimilaritySearch(catalog, box, backend, fallback=MemoryBackend(), probing=False)
        self.shared = SharedIndexes(OperatorState(catalog), self.search.indexes, self._choose)
        self.shared.start_following()

    def _choose(self, name: str) -> BackendChoice:
        assert name == "memory"
        backend = MemoryBackend()
        return BackendChoice(backend, backend_config(backend, {}))

    def fail(self) -> None:
        """Let the index fail once, so that it is out of service."""
        self.plan.fail("search")
        assert self.search.by_id("a", k=1).degraded
        self.plan.heal()


@pytest.fixture
def two(catalog: Catalog, box: Any, boxes: Any) -> Iterator[tuple[Process, Process]]:
    """Two processes on one catalogue."""
    catalog.add(boxes(a=(1, 2, 3), b=(2, 3, 4)))
    made = (Process(catalog, box), Process(catalog, box))
    yield made
    for process in made:
        process.shared.close()
        process.shared.close()
        process.search.close()


def test_a_recovery_is_followed(two: tuple[Process, Process]) -> None:
    """Both indexes were out of service; one call brings both back, once."""
    for process in two:
        process.fail()
    assert two[0].shared.recover().available
    two[1].shared.follow()
    assert not two[1].search.by_id("a", k=1).degraded
    two[1].fail()
    two[1].shared.follow()
    assert two[1].search.by_id("a", k=1).degraded


def test_a_switch_is_followed(two: tuple[Process, Process]) -> None:
    """Another backend is used by both."""
    two[0].shared.recover("memory")
    two[1].shared.follow()
    assert [process.search.indexes.health().configured_backend for process in two] == ["memory", "memory"]


def test_what_fails_here_is_asked_of_nobody(two: tuple[Process, Process]) -> None:
    """The other process goes on with what it has."""
    two[1].fail()
    two[0].plan.fail("open")
    with pytest.raises(PluginUnavailable):
        two[0].shared.recover()
    two[1].shared.follow()
    assert two[1].search.by_id("a", k=1).degraded
