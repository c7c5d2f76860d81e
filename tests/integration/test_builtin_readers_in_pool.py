"""The built-in formats through the reader pool: the same answers as in this process."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import Reading, read_file
from cadml_core.settings import Settings
from tests.fuzz.samples import FORMATS, write_samples

VERSIONS = ("v1", "v2", "v3", "v4")


def timeless(reading: Reading) -> Reading:
    """Return the reading without its times."""
    return msgspec.structs.replace(
        reading, seconds=0.0, read_seconds=0.0, extract_seconds={}, draw_seconds=0.0
    )


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two good files of each format."""
    return write_samples(tmp_path_factory.mktemp("samples"), 2)


def test_a_worker_answers_what_this_process_would(samples: list[Path]) -> None:
    """Documents and vectors are equal to the last bit for STEP, IGES, DXF and STL."""
    registry = load_plugins(Settings(safe_mode=True)).registry
    limits = ReadLimits()
    with ReaderPool(registry.formats, registry.features, limits=limits, workers=2) as pool:
        there = dict(pool.map(samples, VERSIONS))
        statistics = pool.statistics
    for path in samples:
        here = read_file(
            path, formats=registry.formats, features=registry.features, versions=VERSIONS, limits=limits
        )
        found = there[path]
        assert isinstance(found, Reading), found
        assert timeless(found) == timeless(here)
    assert {path.suffix[1:] for path in there} == set(FORMATS)
    assert (statistics.read, statistics.refused, statistics.crashed) == (len(samples), 0, 0)
