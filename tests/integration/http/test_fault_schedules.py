"""Whatever the index does at whatever moment, no acknowledged vector is lost and no answer is wrong.

Hypothesis makes up schedules of writes, searches, faults, probes and recoveries, and runs them
against one server over HTTP. ``CADML_FAULT_SCHEDULES`` sets how many; the default is few.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from litestar.testing import TestClient
from prometheus_client import REGISTRY

from cadml_core.catalog.state import OperatorState
from cadml_core.errors import NotFound
from cadml_core.runtime import build_runtime
from cadml_core.search.index.health import HISTORY
from cadml_core.search.index.shared import SharedIndexes
from cadml_core.search.index.sync import BackendChoice
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.testing.faults import FaultPlan, FaultyBackend
from cadml_hostapp.app import create_app
from cadml_plugins.features.v1 import V1
from cadml_plugins.vectors.faiss import FaissBackend
from cadml_plugins.vectors.memory import MemoryBackend
from tests.integration.http.server import ADMIN_HEADERS, HEADERS, settings_for

SCHEDULES = int(os.environ.get("CADML_FAULT_SCHEDULES", "15"))
API = "/api/v1"

WRONG = {
    "wrong ids",
    "wrong distances",
    "wrong shape",
    "reversed ids",
    "repeated ids",
    "halved distances",
    "not the nearest",
}
"""What an answer may be."""
OPERATIONS = st.sampled_from(["open", "upsert", "remove", "search"])
NAMES = st.integers(0, 12).map(lambda number: f"part{number}")
WIDTHS = st.integers(0, 8).map(float)


class FakeClock:
    """Time that passes when it is told to."""

    seconds = 0.0

    def monotonic(self) -> float:
        """Seconds since the server began."""
        return self.seconds

    def now(self) -> datetime:
        """A date that follows."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Server:
    """One server whose index fails on order."""

    def __init__(self, folder: Path) -> None:
        chosen = settings_for(
            folder, feature_version="v1", plugins_disable=("step", "iges", "dxf", "stl"), safe_mode=True
        )
        self.plan, self.clock = FaultPlan(), FakeClock()
        runtime = build_runtime(chosen)
        self.search = SimilaritySearch(
            runtime.catalog,
            V1,
            FaultyBackend(FaissBackend(), self.plan),
            fallback=MemoryBackend(),
            clock=self.clock,
            probing=False,
        )
        runtime.search.close()
        self.indexes = SharedIndexes(OperatorState(runtime.catalog), self.search.indexes, self._no_other)
        served = dataclasses.replace(runtime, search=self.search, indexes=self.indexes)
        self.client = TestClient(create_app(served))
        self.client.headers.update(HEADERS)

    def _no_other(self, name: str) -> BackendChoice:
        raise NotFound(f"no backend {name}", stage="vectors")

    def call(self, method: str, path: str, body: Any = None, *, admin: bool = False) -> Any:
        """Ask the server; a failure of the server itself fails the test."""
        answer = self.client.request(
            method, f"{API}{path}", json=body, headers=ADMIN_HEADERS if admin else HEADERS
        )
        assert answer.status_code < 500 or path.endswith("/recover"), answer.text
        return answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, for all schedules."""
    made = Server(tmp_path_factory.mktemp("faults"))
    with made.client:
        yield made
        made.indexes.close()
    made.search.close()  # the runtime closes the one that it was built with


def events() -> dict[str, float]:
    """How often the index went out of service and came back."""
    return {
        event: REGISTRY.get_sample_value("similarity_degraded_total", {"event": event}) or 0.0
        for event in ("degraded", "restored")
    }


def vector(width: float) -> list[float]:
    """Raw values of a part of this width."""
    return [1.0, width, 2.0, 3.0, 6.0 * width, 0.0, 0.0]


class Schedule(RuleBasedStateMachine):
    """Writes, searches, faults and repairs in any order, beside a model of what must be there."""

    server: Server

    @initialize()
    def begin(self) -> None:
        """Start healthy and empty; the server itself goes on from schedule to schedule."""
        self.server.plan.heal()
        for part in self.server.search.catalog.parts():
            self.server.call("DELETE", f"/parts/{part.id}")
        assert self.server.call("POST", "/health/faiss/recover", admin=True).status_code == 200
        self.events_before = events()
        self.widths: dict[str, float] = {}
        self.order: list[str] = []

    @rule(name=NAMES, width=WIDTHS)
    def write(self, name: str, width: float) -> None:
        """Add or change a part; once acknowledged, it must be there."""
        answer = self.server.call("POST", "/vectors/register", {"id": name, "vector": vector(width)})
        assert answer.status_code in (200, 201)
        if name not in self.widths:
            self.order.append(name)
        self.widths[name] = width

    @precondition(lambda self: self.widths)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove a part; from then on nobody may find it."""
        name = data.draw(st.sampled_from(sorted(self.widths)))
        assert self.server.call("DELETE", f"/parts/{name}").status_code < 300
        del self.widths[name]
        self.order.remove(name)

    @rule(width=WIDTHS, k=st.integers(1, 5))
    def find(self, width: float, k: int) -> None:
        """A search gives exactly the nearest, ties by age, whoever answers."""
        answer = self.server.call("POST", "/vectors/search", {"vector": vector(width), "k": k})
        assert answer.status_code == 200
        assert self.found(answer.json()) == self.nearest(width)[:k]

    @precondition(lambda self: self.widths)
    @rule()
    def find_all(self) -> None:
        """A batch over every part gives each its right neighbours."""
        answer = self.server.call("POST", "/vectors/similarity/batch", {"ids": self.order, "top_k": 3})
        for item in answer.json()["items"]:
            expected = [name for name in self.nearest(self.widths[item["id"]]) if name != item["id"]]
            assert self.found(item) == expected[:3]

    @rule(operation=OPERATIONS, at=st.integers(1, 3))
    def break_(self, operation: Any, at: int) -> None:
        """From its n-th call on, something raises."""
        self.server.plan.fail(operation, at=at)

    @rule(fault=st.sampled_from(sorted(WRONG)), at=st.integers(1, 3))
    def corrupt(self, fault: Any, at: int) -> None:
        """From the n-th search on, the answers of the index cannot be right."""
        self.server.plan.fail("search", fault, at=at)

    @rule()
    def heal(self) -> None:
        """Everything would work again."""
        self.server.plan.heal()

    @rule(seconds=st.sampled_from([1.0, 300.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, and what is due is probed."""
        self.server.clock.seconds += seconds
        self.server.search.indexes.tick()

    @rule()
    def recover(self) -> None:
        """An operator tries; it works, or the index is still broken."""
        answer = self.server.call("POST", "/health/faiss/recover", admin=True)
        assert answer.status_code in (200, 503)

    @invariant()
    def events_balance(self) -> None:
        """Each failure was told once, each return once, and the history stays bounded."""
        if not hasattr(self, "events_before"):
            return
        health = self.server.call("GET", "/health/faiss/health").json()
        now = events()
        degraded, restored = (now[event] - self.events_before[event] for event in ("degraded", "restored"))
        assert degraded - restored == health["degraded"]
        assert len(health["degradation_history"]) <= HISTORY
        assert health["available"] != health["degraded"]

    def teardown(self) -> None:
        """In the end, mended: every acknowledged vector is found by itself, and nothing else."""
        if not hasattr(self, "widths"):
            return
        self.server.plan.heal()
        self.server.clock.seconds += 3600.0
        assert self.server.search.indexes.tick()
        answer = self.server.call("POST", "/vectors/search", {"vector": vector(0.0), "k": 50})
        assert not answer.json()["degraded"]
        assert self.found(answer.json()) == self.nearest(0.0)
        now = events()
        assert (
            now["degraded"] - self.events_before["degraded"]
            == now["restored"] - self.events_before["restored"]
        )

    def nearest(self, width: float) -> list[str]:
        """Every part that must be there, nearest first, ties by age."""
        embedded = V1.embed(np.array([vector(self.widths[name]) for name in self.order] + [vector(width)]))
        distances = ((embedded[:-1].astype(np.float64) - embedded[-1]) ** 2).sum(axis=1).astype(np.float32)
        return [self.order[position] for position in np.argsort(distances, kind="stable")]

    def found(self, answer: Any) -> list[str]:
        """Ids of the hits."""
        return [hit["id"] for hit in answer["hits"]]


def test_any_schedule_of_faults(server: Server) -> None:
    """After every schedule the answers were right, nothing is lost, and the events balance."""
    Schedule.server = server
    run_state_machine_as_test(
        Schedule,
        settings=settings(
            max_examples=SCHEDULES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
