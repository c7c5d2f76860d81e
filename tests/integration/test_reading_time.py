"""Readers are limited by the processor time they use, and by the clock only far above it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import ReaderTimeout
from cadml_core.reading.pool import ReaderPool
from tests.integration.evil_readers import FORMATS


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    """One worker that may use a second of the processor for each file, and a minute of the clock."""
    limits = ReadLimits(max_cpu_seconds=1.0, max_seconds=60.0)
    with ReaderPool(FORMATS, {}, limits=limits, workers=1) as shared:
        shared.start(wait=True)
        yield shared


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str], Path]:
    """Make a file for the adapter of that name."""

    def make(name: str) -> Path:
        path = tmp_path / f"part.{name}"
        path.write_text(f"{name}\n")
        return path

    return make


def test_a_reader_that_spins_is_ended(pool: ReaderPool, sample: Callable[[str], Path]) -> None:
    """The error tells the limit and what to raise, and counts as a timeout; the next file is read."""
    before = pool.statistics
    with pytest.raises(ReaderTimeout, match=r"1 s of processor time.*PARSE_CPU_SECONDS") as caught:
        pool.read(sample("spins"))
    assert caught.value.code == "PARSE_TIMEOUT"
    assert caught.value.context == {"limit": "processor", "allowed": 1.0, "format": "spins"}
    after = pool.statistics
    assert (after.timed_out, after.crashed) == (before.timed_out + 1, before.crashed)
    assert pool.read(sample("good")).format == "good"


def test_a_reader_that_waits_is_not(pool: ReaderPool, sample: Callable[[str], Path]) -> None:
    """A file that takes twice the limit on the clock, and no processor, is read."""
    reading = pool.read(sample("dozes"))
    assert reading.read_seconds > 1.5


def test_each_file_has_the_whole_time(pool: ReaderPool, sample: Callable[[str], Path]) -> None:
    """One process reads file after file, each near the limit, and none pays for another."""
    pids = {pool.read(sample("labours")).document.properties["pid"] for _ in range(4)}
    assert len(pids) == 1


def test_the_clock_ends_what_waits_for_ever(sample: Callable[[str], Path]) -> None:
    """Without any use of the processor the limit on the clock holds, and says so."""
    with (
        ReaderPool(FORMATS, {}, limits=ReadLimits(max_seconds=0.5), workers=1) as pool,
        pytest.raises(ReaderTimeout, match=r"on the clock.*PARSE_TIMEOUT_SECONDS") as caught,
    ):
        pool.read(sample("dozes"))
    assert caught.value.context["limit"] == "clock"
