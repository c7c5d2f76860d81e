"""The feature cache does what a plain model does, loses nothing among threads, and counts lookups once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import REGISTRY

from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.feature_cache.entries import Entry, Key
from tests.unit.feature_cache_cases import FakeClock, content

CONTENTS = [content(number) for number in range(8)]
KEYS = st.builds(
    lambda number, version: Key(CONTENTS[number].sha256, "stl", "1", None, version),
    st.integers(0, 7),
    st.sampled_from(["v1", "v4"]),
)


def entry(*, whole: bool = True) -> Entry:
    """An entry that is like no other."""
    return Entry(CONTENTS[0], np.zeros(1), whole)


class AgainstAModel(RuleBasedStateMachine):
    """Every answer and figure is that of an ordered dictionary with ages, the least recently used first."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.capacity, self.ttl = 4, 20
        self.cache = FeatureCache(self.capacity, self.ttl, self.clock.monotonic)
        self.model: OrderedDict[Key, tuple[Entry, float]] = OrderedDict()
        self.figures = {"hits": 0, "misses": 0, "evictions": 0, "expirations": 0}

    def good(self, key: Key) -> bool:
        """Whether an entry is there and not too old."""
        return key in self.model and not (self.ttl and self.clock.seconds - self.model[key][1] >= self.ttl)

    @rule(key=KEYS, whole=st.booleans())
    def put(self, key: Key, whole: bool) -> None:
        """A new one takes the place of an old one, but for a poorer one; the least recent makes room."""
        new = kept = entry(whole=whole)
        if key in self.model and self.model[key][0].whole and not whole:
            kept = self.model[key][0]
        if key not in self.model and len(self.model) == self.capacity:
            self.model.popitem(last=False)
            self.figures["evictions"] += 1
        self.model[key] = (kept, self.clock.seconds)
        self.model.move_to_end(key)
        self.cache.put(key, new)

    @rule(key=KEYS, whole=st.booleans())
    def get(self, key: Key, whole: bool) -> None:
        """A lookup finds the entry that is there, and makes it the most recent."""
        expected = None
        if key in self.model and not self.good(key):
            del self.model[key]
            self.figures["expirations"] += 1
        if key in self.model:
            self.model.move_to_end(key)
            found = self.model[key][0]
            expected = found if found.whole or not whole else None
        self.figures["hits" if expected else "misses"] += 1
        assert self.cache.get(key, whole=whole) is expected

    @rule(key=KEYS, whole=st.booleans())
    def look(self, key: Key, whole: bool) -> None:
        """Looking whether something is there changes nothing."""
        expected = self.good(key) and (self.model[key][0].whole or not whole)
        assert self.cache.holds(key, whole=whole) == expected

    @rule(key=KEYS)
    def lack(self, key: Key) -> None:
        """A content of which there is nothing is a miss; one of which there is something is no lookup."""
        expected = all(one.sha256 != key.sha256 for one in self.model)
        self.figures["misses"] += expected
        assert self.cache.lacks(key.sha256) == expected

    @rule(seconds=st.sampled_from([1, 4, 10, 30]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.seconds += seconds

    @rule(capacity=st.integers(1, 6), ttl=st.sampled_from([0, 5, 20]))
    def resize(self, capacity: int, ttl: int) -> None:
        """The most recent that fit stay, in their order, with their age; counting begins anew."""
        self.capacity, self.ttl = capacity, ttl
        while len(self.model) > capacity:
            self.model.popitem(last=False)
        self.figures = dict.fromkeys(self.figures, 0)
        self.cache.resize(capacity, ttl)

    @rule()
    def report(self) -> None:
        """The figures are right, and what is too old is gone."""
        for key in [key for key in self.model if not self.good(key)]:
            del self.model[key]
        found = self.cache.statistics()
        assert found.size == len(self.model)
        assert {name: getattr(found, name) for name in self.figures} == self.figures
        assert (found.capacity, found.ttl_seconds) == (self.capacity, self.ttl)

    @invariant()
    def is_never_too_large(self) -> None:
        """Never more entries than the capacity, and the gauge says how many."""
        assert len(self.cache._entries) == len(self.model) <= self.capacity
        assert sum(self.cache._entries.contents.values()) == len(self.model)


AgainstAModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase


def counted(name: str) -> float:
    """A metric as it stands."""
    return REGISTRY.get_sample_value(name) or 0.0


def test_metrics_tell_what_happened() -> None:
    """Each lookup is one hit or one miss, each vector pushed out one eviction, the gauge the size."""
    names = ["feature_cache_hits_total", "feature_cache_miss_total", "feature_cache_evictions_total"]
    before = [counted(name) for name in names]
    cache = FeatureCache(2, 0)
    keys = [Key(one.sha256, "stl", "1", None, "v1") for one in CONTENTS]
    for key in keys[:3]:
        cache.put(key, entry())
    assert cache.get(keys[0]) is None
    assert cache.get(keys[1]) is not None
    assert cache.get(keys[2]) is not None
    assert [counted(name) - old for name, old in zip(names, before, strict=True)] == [2, 1, 1]
    assert counted("feature_cache_size") == 2
    cache.resize(1, 0)
    assert counted("feature_cache_size") == 1
    assert counted(names[2]) - before[2] == 2


def test_hits_are_told_once_in_their_order() -> None:
    """What was hit since it was last asked."""
    cache = FeatureCache(8, 0)
    keys = [Key(one.sha256, "stl", "1", None, "v1") for one in CONTENTS[:3]]
    for key in keys:
        cache.put(key, entry())
    for key in (keys[1], keys[0], keys[1]):
        cache.get(key)
    assert cache.hits() == [keys[1], keys[0], keys[1]]
    assert cache.hits() == []


def test_threads_lose_no_count_and_no_entry() -> None:
    """While eight threads look up, store and resize, every lookup counts, and an entry is that of its key."""
    cache = FeatureCache(6, 0)
    entries = {
        Key(one.sha256, "stl", "1", None, "v1"): Entry(one, np.zeros(1), whole=True) for one in CONTENTS
    }
    before = counted("feature_cache_hits_total") + counted("feature_cache_miss_total")
    stop = threading.Event()

    def resize() -> None:
        while not stop.is_set():
            for capacity in (1, 3, 6):
                cache.resize(capacity, 0)

    def work(seed: int) -> int:
        order = np.random.default_rng(seed).permutation(np.arange(4000) % len(entries))
        keys = list(entries)
        for number in order.tolist():
            found = cache.get(keys[number])
            assert found is None or found is entries[keys[number]]
            cache.put(keys[number], entries[keys[number]])
        return len(order)

    resizer = threading.Thread(target=resize)
    resizer.start()
    with ThreadPoolExecutor(8) as threads:
        lookups = sum(threads.map(work, range(8)))
    stop.set()
    resizer.join()
    assert counted("feature_cache_hits_total") + counted("feature_cache_miss_total") - before == lookups
    found = cache.statistics()
    assert found.size <= found.capacity
    assert counted("feature_cache_size") == found.size
