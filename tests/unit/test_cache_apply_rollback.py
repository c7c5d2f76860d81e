"""A cache size is recommended, tried, applied for every process, and can be undone for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cadml_core.catalog.store import Catalog
from cadml_core.errors import CadmlError
from cadml_core.feature_cache.advice import recommend
from cadml_core.feature_cache.choice import Limits
from cadml_core.feature_cache.entries import Statistics, combined
from tests.unit.feature_cache_cases import WINDOW, FakeClock, Process


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """An empty catalogue of each kind."""
    with Catalog.open(database_url) as opened:
        yield opened


def refused(call: object, *arguments: object, **options: object) -> str:
    """The code with which a call is refused."""
    assert callable(call)
    with pytest.raises(CadmlError) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_a_dry_run_changes_nothing(catalog: Catalog) -> None:
    """It tells what would change, takes no snapshot, and leaves the cache as it is."""
    process = Process(catalog)
    applied = process.control.apply(capacity=50, dry_run=True)
    assert (applied.before, applied.after, applied.changed) == (Limits(1000, 3600), Limits(50, 3600), True)
    assert applied.snapshot is None
    assert process.cache.statistics().capacity == 1000
    assert refused(process.control.rollback) == "CACHE_TUNING_NO_SNAPSHOT"


def test_an_apply_takes_a_snapshot_and_a_rollback_restores_it(catalog: Catalog) -> None:
    """Exactly the limits before; afterwards another size can be applied."""
    process = Process(catalog)
    snapshot = process.control.apply(capacity=50, ttl_seconds=60).snapshot
    assert snapshot is not None
    assert (snapshot.previous_capacity, snapshot.previous_ttl) == (1000, 3600)
    assert snapshot.applied_at == "2026-01-01T00:00:00.000Z"
    assert snapshot.expires_at == snapshot.can_rollback_until == "2026-01-01T00:05:00.000Z"
    assert process.control.state().snapshot == snapshot
    assert (process.cache.statistics().capacity, process.cache.statistics().ttl_seconds) == (50, 60)
    assert process.control.rollback().restored == Limits(1000, 3600)
    assert (process.cache.statistics().capacity, process.cache.statistics().ttl_seconds) == (1000, 3600)
    assert process.control.apply(capacity=70).snapshot is not None


def test_a_second_apply_in_the_window_is_refused(catalog: Catalog) -> None:
    """It would overwrite what a rollback restores; a dry run is still possible, and so is one later."""
    clock = FakeClock()
    process = Process(catalog, clock)
    process.control.apply(capacity=50)
    clock.seconds = WINDOW - 0.001
    assert refused(process.control.apply, capacity=60) == "CACHE_TUNING_SNAPSHOT_ACTIVE"
    assert process.control.apply(capacity=60, dry_run=True).after == Limits(60, 3600)
    assert process.cache.statistics().capacity == 50
    clock.seconds = WINDOW
    snapshot = process.control.apply(capacity=60).snapshot
    assert snapshot is not None
    assert snapshot.previous_capacity == 50


def test_a_rollback_after_the_window_is_refused(catalog: Catalog) -> None:
    """As often as it is tried; what was applied stays, and the error tells what was before."""
    clock = FakeClock()
    process = Process(catalog, clock)
    process.control.apply(capacity=50)
    clock.seconds = WINDOW
    for _ in range(2):
        with pytest.raises(CadmlError, match="1000") as caught:
            process.control.rollback()
        assert (caught.value.code, caught.value.status) == ("CACHE_TUNING_ROLLBACK_EXPIRED", 410)
    assert process.cache.statistics().capacity == 50


def test_there_is_one_rollback_for_each_apply(catalog: Catalog) -> None:
    """Without an apply, and after a rollback, there is nothing to undo."""
    process = Process(catalog)
    assert refused(process.control.rollback) == "CACHE_TUNING_NO_SNAPSHOT"
    process.control.apply(capacity=50)
    process.control.rollback()
    assert refused(process.control.rollback) == "CACHE_TUNING_NO_SNAPSHOT"


def test_every_process_follows(catalog: Catalog) -> None:
    """What one process applied or rolled back holds in the others, and in those that start later."""
    one, other = Process(catalog), Process(catalog)
    one.control.apply(capacity=50, ttl_seconds=0)
    other.control.follow()
    for process in (other, Process(catalog)):
        found = process.cache.statistics()
        assert (found.capacity, found.ttl_seconds) == (50, 0)
    other.control.rollback()
    one.control.follow()
    assert one.cache.statistics().capacity == 1000


def test_a_start_forgets_the_snapshot_but_not_the_size(catalog: Catalog) -> None:
    """A server that starts cannot undo what was applied before it; the size stays."""
    Process(catalog).control.apply(capacity=50)
    restarted = Process(catalog)
    restarted.control.tuning.forget_snapshot()
    assert refused(restarted.control.rollback) == "CACHE_TUNING_NO_SNAPSHOT"
    assert restarted.cache.statistics().capacity == 50
    assert restarted.control.apply(capacity=60).before == Limits(50, 3600)


def test_only_one_of_many_applies_wins(catalog: Catalog) -> None:
    """Of several at once one takes the snapshot and the others are refused."""
    process, wins, codes = Process(catalog), [], []

    def attempt(number: int) -> None:
        try:
            process.control.apply(capacity=100 + number)
            wins.append(100 + number)
        except CadmlError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["CACHE_TUNING_SNAPSHOT_ACTIVE"] * 5
    process.control.follow()
    assert [process.cache.statistics().capacity] == wins


def statistics(**named: int) -> Statistics:
    """A cache of 1000 with these figures."""
    return Statistics(**{"capacity": 1000, "ttl_seconds": 3600, **named})


@pytest.mark.parametrize(
    ("found", "action", "capacity"),
    [
        (statistics(hits=50, misses=49, size=1000, evictions=40), "not_enough_traffic", 1000),
        (statistics(hits=80, misses=20, size=1000, evictions=16), "grow", 2000),
        (statistics(hits=80, misses=20, size=950, evictions=10), "grow", 1500),
        (statistics(hits=80, misses=20, size=900, evictions=10), "keep", 1000),
        (statistics(hits=80, misses=20, size=1000, evictions=5), "keep", 1000),
        (statistics(hits=80, misses=20, size=200), "shrink", 700),
        (statistics(hits=80, misses=20, size=200, evictions=1), "keep", 1000),
        (statistics(hits=80, misses=20, size=10, capacity=120), "shrink", 100),
        (statistics(hits=80, misses=20, size=5, capacity=60), "keep", 60),
        (
            statistics(hits=80, misses=20, size=9_000_000, evictions=16, capacity=9_000_000),
            "grow",
            10_000_000,
        ),
    ],
)
def test_a_size_is_recommended_by_what_the_cache_did(found: Statistics, action: str, capacity: int) -> None:
    """Larger where vectors are pushed out, smaller where it is nearly empty, never below 100 or above now."""
    advice = recommend(found)
    assert (advice.action, advice.capacity) == (action, capacity)
    assert advice.reasons


def test_few_hits_without_evictions_are_no_reason_for_a_longer_life() -> None:
    """The advice says so, and why: how many misses met a vector that was too old."""
    advice = recommend(statistics(hits=20, misses=80, size=500, expirations=3))
    assert advice.action == "keep"
    assert "not the cure: 3 of 80" in advice.reasons[1]
    assert len(recommend(statistics(hits=50, misses=50, size=500)).reasons) == 1


def test_the_usage_is_that_of_all_processes() -> None:
    """Two half-empty caches are not one full one."""
    both = combined([statistics(hits=40, misses=10, size=100)] * 2)
    assert (both.lookups, recommend(both, 2).usage, recommend(both, 2).action) == (100, 0.1, "shrink")


def test_a_recommendation_is_applied_where_no_size_is_given(catalog: Catalog) -> None:
    """What is applied is what was recommended, by counts since the size was last set."""
    process = Process(catalog, capacity=1000)
    for _ in range(100):
        process.cache.lacks("0" * 64)
    assert process.control.recommendation().action == "shrink"
    assert process.control.apply().after == Limits(700, 3600)
    assert process.control.recommendation().action == "not_enough_traffic"


def test_the_state_is_that_of_the_processes_that_serve(catalog: Catalog) -> None:
    """While a server runs, all that look see what it did; once it has ended, it counts no more."""
    server, command = Process(catalog), Process(catalog)
    server.cache.lacks("0" * 64)
    server.control.start_following()
    server.control.prewarm()
    assert (command.control.state().processes, command.control.state().misses) == (1, 1)
    command.control.prewarm()
    assert server.control.state().processes == 1
    server.control.close()
    assert (command.control.state().processes, command.control.state().misses) == (1, 0)
