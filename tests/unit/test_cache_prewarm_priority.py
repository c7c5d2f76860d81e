"""A cache is warmed with recent hits, batch references, then what is hit most for its length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core.catalog.records import Content
from cadml_core.catalog.store import Catalog
from cadml_core.errors import CadmlError
from cadml_core.feature_cache.entries import Entry, Key
from cadml_core.feature_cache.trail import Trail, Wanted
from cadml_core.intake.prewarm import prewarm
from cadml_plugins.features.v1 import V1
from tests.unit.feature_cache_cases import STL, Process, add_parts, content


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """A catalogue of each kind, with parts p0 to p9."""
    with Catalog.open(database_url) as opened:
        add_parts(opened, 10)
        yield opened


def key(number: int, version: str = "v1") -> Key:
    """Where the vector of a content is kept."""
    return Key(content(number).sha256, "stl", STL.version, None, version)


def held(process: Process) -> list[tuple[int, str]]:
    """What a cache holds."""
    pairs = itertools.product(range(10), ("v1", "v4"))
    return [(number, version) for number, version in pairs if process.cache.holds(key(number, version))]


def hit(process: Process, *numbers: int, version: str = "v1") -> None:
    """Put vectors in and look them up."""
    for number in numbers:
        entry = Entry(content(number), np.zeros(7), whole=True)
        process.cache.put(key(number, version), entry)
        assert process.cache.get(key(number, version)) is entry


def remember(process: Process) -> None:
    """End a process that served, so that its trail is stored."""
    process.control.start_following()
    process.control.close()


def test_the_last_hits_come_first(catalog: Catalog) -> None:
    """Where not all may be loaded, the newest hits are, before any batch reference."""
    before = Process(catalog)
    hit(before, 1, 2, 3, 1)
    before.trail.note_batch(["p7"])
    remember(before)
    after = Process(catalog, most=2)
    report = after.control.prewarm()
    assert held(after) == [(1, "v1"), (3, "v1")]
    assert (report.requested, report.warmed, report.by_source["recent_hits"]) == (2, 2, 2)


def test_batch_references_come_before_what_is_frequent(catalog: Catalog) -> None:
    """The newest of them first; parts that are gone are passed over."""
    process = Process(catalog, most=3)
    trail = Trail(
        hits=(Wanted(content(0).sha256, "v1"),),
        references=("p4", "nobody", "p5", "p6"),
        counts=((Wanted(content(9).sha256, "v1"), 1000),),
    )
    report = prewarm(process.intake, trail, "v1", 3)
    assert held(process) == [(0, "v1"), (5, "v1"), (6, "v1")]
    assert report.by_source == {"recent_hits": 1, "batch_references": 2, "frequent": 0}


def test_frequent_ones_are_ranked_by_hits_for_their_length(catalog: Catalog) -> None:
    """50 hits of 7 numbers are worth more than 100 hits of 24."""
    process = Process(catalog)
    short, long = Wanted(content(1).sha256, "v1"), Wanted(content(2).sha256, "v4")
    trail = Trail(counts=((long, 100), (short, 50)))
    assert trail.by_worth({"v1": 7, "v4": 24}) == [short, long]
    assert prewarm(process.intake, trail, "v1", 1).by_source["frequent"] == 1
    assert held(process) == [(1, "v1")]


def test_what_is_warmed_is_the_real_vector(catalog: Catalog) -> None:
    """Bit for bit what the feature version makes of the stored document."""
    process = Process(catalog)
    prewarm(process.intake, Trail(references=("p3",)), "v1", 10)
    entry = process.cache.get(key(3))
    assert entry is not None
    assert entry.values.tolist() == V1.extract(content(3).document).tolist()
    assert not entry.values.flags.writeable


def test_what_cannot_be_warmed_is_skipped_or_counted(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cached already, gone, or of an unknown version: skipped. Failing: an error. All are counted."""
    process = Process(catalog)
    hit(process, 0)
    gone, foreign = Wanted("f" * 64, "v1"), Wanted(content(1).sha256, "v9")
    warm = process.intake.warm

    def fails_for_2(found: Content, version: str) -> bool:
        if found.sha256 == content(2).sha256:
            raise CadmlError("the feature version is broken")
        return warm(found, version)

    monkeypatch.setattr(process.intake, "warm", fails_for_2)
    wanted = [Wanted(content(number).sha256, "v1") for number in (0, 2, 3)]
    before = {result: counted(result) for result in ("success", "skipped", "error")}
    report = prewarm(process.intake, Trail(hits=(gone, foreign, *wanted)), "v1", 10)
    assert (report.requested, report.warmed, report.skipped, report.errors) == (5, 1, 3, 1)
    after = {result: counted(result) - before[result] for result in before}
    assert after == {"success": 1, "skipped": 3, "error": 1}


def counted(result: str) -> float:
    """The metric as it stands; it is there from the start."""
    found = REGISTRY.get_sample_value("feature_cache_prewarm_total", {"result": result})
    assert found is not None
    return found


def test_a_prewarm_pushes_nothing_out(catalog: Catalog) -> None:
    """Only the free room is filled, and the most wanted leaves it last."""
    process = Process(catalog, capacity=3)
    hit(process, 0)
    report = prewarm(process.intake, Trail(references=("p4", "p5", "p6")), "v1", 10)
    assert held(process) == [(0, "v1"), (5, "v1"), (6, "v1")]
    assert (report.warmed, report.skipped) == (2, 1)
    hit(process, 1, 2)
    assert held(process) == [(1, "v1"), (2, "v1"), (6, "v1")]


def test_every_server_warms_its_cache(catalog: Catalog) -> None:
    """When one is asked; one that starts later does not act on an old request."""
    first = Process(catalog)
    hit(first, 1, 2)
    remember(first)
    one, other = Process(catalog), Process(catalog)
    one.control.prewarm()
    other.control.follow()
    assert held(one) == held(other) == [(1, "v1"), (2, "v1")]
    late = Process(catalog)
    late.control.follow()
    assert held(late) == []


def test_the_trails_of_processes_add_up(catalog: Catalog) -> None:
    """Hits of the same vector in two processes count together, and each is kept once among the newest."""
    for numbers in ((1, 2, 2), (2, 3)):
        process = Process(catalog)
        hit(process, *numbers)
        remember(process)
    trail = Process(catalog).trail.get()
    assert [wanted.sha256 for wanted in trail.hits] == [content(number).sha256 for number in (1, 2, 3)]
    assert dict(trail.counts)[Wanted(content(2).sha256, "v1")] == 3


def test_a_warm_start_hits_like_a_steady_one(catalog: Catalog) -> None:
    """After a restart, the first pass of a zipf trace hits within 10 % of what it did in the end."""
    add_parts(catalog, 300)
    ranks = np.random.default_rng(1).zipf(1.3, 3000)
    trace = [int(rank) % 300 for rank in ranks]

    def follow(process: Process) -> float:
        hits = 0
        for number in trace:
            if process.cache.get(key(number)) is None:
                process.cache.put(key(number), Entry(content(number), np.zeros(7), whole=True))
            else:
                hits += 1
        return hits / len(trace)

    steady = Process(catalog, capacity=100, ttl=0)
    cold = follow(steady)
    wanted = follow(steady)
    remember(steady)
    restarted = Process(catalog, capacity=100, ttl=0)
    assert restarted.control.prewarm().warmed == 100
    assert follow(restarted) >= 0.9 * wanted
    assert follow(Process(catalog, capacity=100, ttl=0)) == cold <= wanted
