"""Real files that kill or stop a CAD kernel, read by the built-in adapters in the pool."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import ERROR_CODES, CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import Settings

CORPUS = Path(os.environ.get("CADML_CORPUS", "does-not-exist"))
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason="CADML_CORPUS names no folder"),
]


def test_killers_cost_only_themselves() -> None:
    """Each file that kills the kernel is refused with a code; the good files between them are read."""
    killers = sorted((CORPUS / "robust" / "fuzz_crash").iterdir())
    good = sorted((CORPUS / "crossformat").rglob("*.stl"))[:5]
    assert killers
    assert good
    registry = load_plugins(Settings(safe_mode=True)).registry
    paths = [path for killer in killers for path in (killer, *good)]
    limits = ReadLimits(max_seconds=5.0)
    with ReaderPool(registry.formats, registry.features, limits=limits, workers=2) as pool:
        answers = list(pool.map(paths, ["v4"]))
        statistics = pool.statistics
    assert len(answers) == len(paths)
    for path, answer in answers:
        if path in good:
            assert not isinstance(answer, CadmlError), (path, answer)
        elif isinstance(answer, CadmlError):
            assert answer.code in ERROR_CODES
            assert answer.code != "INTERNAL_ERROR"
    assert statistics.crashed + statistics.timed_out > 0
