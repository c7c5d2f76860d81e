"""The index may fail in any way: a stand-in answers at once, and the chosen one comes back verified."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core import FeatureSlot, Metric, VectorBackend
from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import CadmlError, PluginUnavailable
from cadml_core.metrics import WITHDRAWN
from cadml_core.search.index import sync as follower_module
from cadml_core.search.index.health import HISTORY, RecoveryPolicy
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.testing.faults import FaultPlan, FaultyBackend
from cadml_plugins.vectors.faiss import FaissBackend
from cadml_plugins.vectors.memory import MemoryBackend

COUNT = 60
COUNTED = {
    "degraded": ("similarity_degraded_total", {"event": "degraded"}),
    "restored": ("similarity_degraded_total", {"event": "restored"}),
    "success": ("faiss_recovery_attempts_total", {"result": "success"}),
    "failure": ("faiss_recovery_attempts_total", {"result": "failure"}),
}
"""Metrics by what they count here."""


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.seconds

    def now(self) -> datetime:
        """A date that follows."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Line:
    """One slot, embedded as it is."""

    name = "line"
    slots: tuple[FeatureSlot, ...] = (FeatureSlot("x", "geometric", "line", "mm", "x"),)
    needs_mesh = False
    metric: Metric = "l2"

    def extract(self, document: Any) -> Any:
        """Not needed here."""
        raise NotImplementedError

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """The same in float32."""
        return values.astype(np.float32)


def part(number: float) -> NewPart:
    """The part at this place of the line."""
    return NewPart(
        id=f"p{number:g}",
        material="even" if number % 2 == 0 else "odd",
        vectors={"line": Vector(np.array([float(number)]))},
    )


def value(name: str, **labels: str) -> float:
    """A metric as it stands."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Scene:
    """A catalogue of parts on a line, behind a Faiss index that fails on order."""

    def __init__(self, url: str, *, fallback: VectorBackend | None, in_process: bool = True) -> None:
        self.catalog = Catalog.open(url)
        self.catalog.add([part(number) for number in range(COUNT)])
        self.clock, self.plan = FakeClock(), FaultPlan()
        self.search = SimilaritySearch(
            self.catalog,
            Line(),
            FaultyBackend(FaissBackend(), self.plan, in_process=in_process),
            fallback=fallback,
            clock=self.clock,
            probing=False,
        )
        self.before = {what: value(name, **labels) for what, (name, labels) in COUNTED.items()}

    def happened(self, what: str) -> float:
        """How often that happened in this scene."""
        name, labels = COUNTED[what]
        return value(name, **labels) - self.before[what]

    def nearest(self, x: float, **options: Any) -> list[str]:
        """Ids of the hits."""
        return [hit.id for hit in self.search.by_values([x], k=3, **options).hits]

    def close(self) -> None:
        """Let go of everything."""
        self.plan.heal()
        self.search.close()
        self.catalog.close()


@pytest.fixture
def scene(sqlite_url: str) -> Iterator[Scene]:
    """The scene with a stand-in."""
    made = Scene(sqlite_url, fallback=MemoryBackend())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("open", "raise"),
        ("upsert", "raise"),
        ("search", "raise"),
        ("search", "wrong ids"),
        ("search", "wrong distances"),
        ("search", "wrong shape"),
    ],
)
def test_the_failing_search_itself_is_answered(scene: Scene, operation: Any, fault: Any) -> None:
    """Whatever fails, the caller gets the right hits from the stand-in, and is told so."""
    scene.plan.fail(operation, fault)
    result = scene.search.by_values([7.2], k=3)
    assert [hit.id for hit in result.hits] == ["p7", "p8", "p6"]
    assert (result.degraded, result.backend) == (True, "memory")
    health = scene.search.indexes.health()
    assert (health.available, health.degraded, health.backend) == (False, True, "memory")
    assert health.degraded_reason
    assert health.index_size == COUNT
    assert scene.happened("degraded") == 1


def test_the_path_from_healthy_to_degraded_and_back(scene: Scene) -> None:
    """One failure, one event, a running gauge; one success, one event, a gauge at zero."""
    assert scene.nearest(3) == ["p3", "p2", "p4"]
    healthy = scene.search.indexes.health()
    assert (healthy.available, healthy.backend, healthy.recovery_status) == (True, "faulty-faiss", "healthy")
    scene.plan.fail("search")
    for _ in range(5):
        assert scene.nearest(3) == ["p3", "p2", "p4"]
    scene.clock.seconds = 120.0
    health = scene.search.indexes.health()
    assert health.degraded_duration_seconds == 120.0
    assert value("degraded_duration_seconds") == 120.0
    assert (health.recovery_status, health.next_recovery_at) == ("waiting", "2026-01-01T00:05:00.000Z")
    assert not scene.search.indexes.tick()
    assert scene.happened("failure") == 0
    scene.plan.heal()
    scene.clock.seconds = 300.0
    assert scene.search.indexes.tick()
    health = scene.search.indexes.health()
    assert (health.available, health.degraded, health.next_recovery_at) == (True, False, None)
    assert health.last_recovery_attempt == "2026-01-01T00:05:00.000Z"
    assert value("degraded_duration_seconds") == 0.0
    assert [scene.happened(what) for what in ("degraded", "restored", "success", "failure")] == [1, 1, 1, 0]
    [entry] = health.degradation_history
    assert entry.degraded_at < (entry.restored_at or "")
    assert scene.search.by_values([3.0]).degraded is False


def test_only_a_backend_in_use_has_a_size(scene: Scene) -> None:
    """While the stand-in answers it has one, and the chosen backend has none; afterwards it is as before."""
    scene.nearest(3)
    assert sizes() == (COUNT, WITHDRAWN)
    scene.plan.fail("search")
    scene.nearest(3)
    assert sizes() == (WITHDRAWN, COUNT)
    scene.plan.heal()
    scene.clock.seconds = 300.0
    assert scene.search.indexes.tick()
    assert sizes() == (COUNT, WITHDRAWN)
    scene.search.close()
    assert sizes() == (WITHDRAWN, WITHDRAWN)


def sizes() -> tuple[float, ...]:
    """The sizes of the index and of the stand-in, once every index that was let go is closed."""
    for thread in threading.enumerate():
        if thread.name == "cadml-index-closed":
            thread.join(5)
    sizes = [
        REGISTRY.get_sample_value("vector_index_size", {"backend": name})
        for name in ("faulty-faiss", "memory")
    ]
    return tuple(WITHDRAWN if size is None else size for size in sizes)


def test_the_gaps_grow_and_one_success_resets_them(scene: Scene) -> None:
    """300, 600, 1200, 2400, 3600, 3600 seconds; after a success the first gap is 300 again."""
    for _ in range(2):
        scene.plan.fail("search")
        scene.nearest(0)
        probed = [scene.clock.seconds]
        while len(probed) < 7:
            scene.clock.seconds += 100.0
            before = scene.happened("failure")
            scene.search.indexes.tick()
            if scene.happened("failure") > before:
                probed.append(scene.clock.seconds)
        assert np.diff(probed).tolist() == [300, 600, 1200, 2400, 3600, 3600]
        assert scene.search.indexes.health().degradation_history[-1].failed_attempts == 6
        scene.plan.heal()
        scene.clock.seconds += 3600.0
        assert scene.search.indexes.tick()
    assert [scene.happened(what) for what in ("degraded", "restored", "success", "failure")] == [2, 2, 2, 12]


def test_waits_are_bounded_whatever_the_settings() -> None:
    """Neither overflow nor a maximum below the first wait can make a wait shrink or explode."""
    policy = RecoveryPolicy(interval=10, multiplier=100, maximum=3600)
    assert [policy.gap(n) for n in (0, 1, 2, 10_000)] == [10, 1000, 3600, 3600]
    assert RecoveryPolicy(interval=300, multiplier=2, maximum=60).gap(5) == 300


def test_nothing_written_meanwhile_is_missing(scene: Scene) -> None:
    """Parts added, changed and removed while degraded are found by the stand-in and after the switch."""
    scene.plan.fail("search")
    scene.nearest(0)
    scene.catalog.add([part(1000), part(5.5)])
    scene.catalog.remove("p5")
    expected = ["p5.5", "p6", "p4"]
    assert scene.nearest(5.4) == expected
    scene.plan.heal()
    scene.clock.seconds += 300
    assert scene.search.indexes.tick()
    assert scene.nearest(5.4) == expected
    assert scene.nearest(1000)[0] == "p1000"


@pytest.mark.parametrize(
    ("operation", "fault"),
    [("upsert", "forget"), ("search", "wrong ids"), ("search", "wrong distances"), ("open", "raise")],
)
def test_a_bad_rebuild_is_never_switched_to(scene: Scene, operation: Any, fault: Any) -> None:
    """An index that lost vectors or finds the wrong ones does not pass, and the stand-in goes on."""
    scene.plan.fail("search")
    scene.nearest(0)
    scene.plan.heal()
    scene.plan.fail(operation, fault)
    scene.clock.seconds += 300
    assert not scene.search.indexes.tick()
    assert scene.happened("failure") == 1
    assert scene.search.by_values([3.0]).degraded
    assert scene.nearest(3) == ["p3", "p2", "p4"]


def test_filters_hold_while_degraded(scene: Scene) -> None:
    """The stand-in filters before the cut like the chosen index."""
    scene.plan.fail("search")
    assert scene.nearest(3, which=PartFilter(material="even")) == ["p2", "p4", "p0"]


def test_the_history_keeps_the_last_ten(scene: Scene) -> None:
    """Flapping neither grows the history without bound nor loses an event."""
    for _ in range(HISTORY + 5):
        scene.plan.fail("search")
        scene.nearest(0)
        scene.plan.heal()
        scene.clock.seconds += 300
        assert scene.search.indexes.tick()
    health = scene.search.indexes.health()
    assert len(health.degradation_history) == HISTORY
    assert all(entry.restored_at for entry in health.degradation_history)
    assert scene.happened("degraded") == scene.happened("restored") == HISTORY + 5


class TestByHand:
    """An operator recovers."""

    def test_recovers_at_once(self, scene: Scene) -> None:
        """No wait for the next probe; the event is the same."""
        scene.plan.fail("search")
        scene.nearest(0)
        scene.plan.heal()
        health = scene.search.indexes.recover()
        assert health.available
        assert (scene.happened("restored"), scene.happened("success")) == (1, 1)

    def test_a_failed_attempt_changes_nothing(self, scene: Scene) -> None:
        """The stand-in goes on, and the next automatic probe stays where it was."""
        scene.plan.fail("search")
        scene.nearest(0)
        due = scene.search.indexes.health().next_recovery_at
        with pytest.raises(PluginUnavailable, match="could not be recovered") as caught:
            scene.search.indexes.recover()
        assert caught.value.stage in ("faiss_recovery", "plugins")
        assert scene.search.indexes.health().next_recovery_at == due
        assert not scene.search.indexes.health().manual_recovery_in_progress
        assert scene.happened("failure") == 1

    def test_only_one_at_a_time_and_no_probe_meanwhile(self, scene: Scene) -> None:
        """A second operator gets FAISS_RECOVERY_CONFLICT, and a probe that falls due waits."""
        scene.plan.fail("search")
        scene.nearest(0)
        scene.plan.heal()
        scene.plan.fail("open", "hang")
        thread = threading.Thread(target=scene.search.indexes.recover)
        thread.start()
        while not scene.search.indexes.health().manual_recovery_in_progress:
            pass
        with pytest.raises(CadmlError) as caught:
            scene.search.indexes.recover()
        assert (caught.value.code, caught.value.status) == ("FAISS_RECOVERY_CONFLICT", 409)
        scene.clock.seconds += 10_000
        assert not scene.search.indexes.tick()
        assert (scene.happened("failure"), scene.happened("success")) == (0, 0)
        assert scene.search.indexes.health().recovery_status == "recovering"
        assert scene.nearest(3) == ["p3", "p2", "p4"]
        scene.plan.heal()
        thread.join(10)
        assert scene.search.indexes.health().available

    def test_a_healthy_index_can_be_rebuilt(self, scene: Scene) -> None:
        """Nothing was degraded, so nothing is restored."""
        assert scene.search.indexes.recover().available
        assert scene.happened("restored") == 0


def test_searches_go_on_during_the_switch(scene: Scene) -> None:
    """Under a storm of searches while the index fails and comes back, none is lost or wrong."""
    wrong: list[Any] = []
    stop = threading.Event()

    def storm(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            number = int(rng.integers(1, COUNT - 1))
            try:
                if scene.nearest(number) != [f"p{number}", f"p{number - 1}", f"p{number + 1}"]:
                    wrong.append(number)
            except Exception as error:  # noqa: BLE001 - reported below, whatever it is
                wrong.append(error)

    threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        scene.plan.fail("search", at=3)
        while not scene.search.indexes.health().degraded:
            pass
        scene.plan.heal()
        scene.clock.seconds += 300
        assert scene.search.indexes.tick()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert scene.happened("degraded") == scene.happened("restored") == 15


def test_an_engine_that_hangs_is_left_behind(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that does not come back within its limit is answered by the stand-in."""
    monkeypatch.setattr(follower_module, "SEARCH_SECONDS", 0.1)
    scene = Scene(sqlite_url, fallback=MemoryBackend(), in_process=False)
    assert scene.nearest(3) == ["p3", "p2", "p4"]
    scene.plan.fail("search", "hang")
    assert scene.nearest(3) == ["p3", "p2", "p4"]
    assert "no answer within 0.1 s" in (scene.search.indexes.health().degraded_reason or "")
    scene.close()


def test_without_a_stand_in_the_failure_is_told(sqlite_url: str) -> None:
    """Where nothing can stand in, the answer is an error that says so, not an empty list."""
    scene = Scene(sqlite_url, fallback=None)
    scene.plan.fail("search")
    with pytest.raises(PluginUnavailable, match="nothing can stand in"):
        scene.nearest(0)
    scene.close()


def test_the_background_thread_probes_by_itself(sqlite_url: str) -> None:
    """With the real clock and short waits, the index comes back without anybody's help."""
    plan = FaultPlan()
    with Catalog.open(sqlite_url) as catalog:
        catalog.add([part(number) for number in range(COUNT)])
        search = SimilaritySearch(
            catalog,
            Line(),
            FaultyBackend(FaissBackend(), plan),
            fallback=MemoryBackend(),
            recovery=RecoveryPolicy(interval=0.05, multiplier=1.0, maximum=0.05),
        )
        plan.fail("search")
        assert search.by_values([1.0]).degraded
        plan.heal()
        waiting = threading.Event()
        for _ in range(200):
            if not search.indexes.health().degraded:
                break
            waiting.wait(0.05)
        assert not search.by_values([1.0]).degraded
        search.close()
