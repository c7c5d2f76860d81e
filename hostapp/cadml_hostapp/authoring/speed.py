"""How fast a feature version or a vector backend is, beside a built-in one in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.vectors import IndexKey, VectorBackend
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.records import PluginRecord
from cadml_core.settings import load_settings
from cadml_hostapp.authoring.subjects import provided

if TYPE_CHECKING:
    from cadml_hostapp.authoring.scorecard import Check

ROWS, WIDTH, QUERIES = 10_000, 24, 20
_REPEATS = 5


def checks(record: PluginRecord) -> Iterator[Check]:
    """Measure what can be measured without files of the author's; nothing here fails a plugin."""
    from cadml_hostapp.authoring.scorecard import Check

    registry = load_plugins(load_settings()).registry
    for kind, name in provided(record):
        try:
            if kind.field == "features":
                detail = _beside(_embedding, registry.features[name], registry.features["v4"], "v4")
                yield Check("speed", name, f"embedding of {ROWS:,} parts", "passed", detail)
            elif kind.field == "vectors":
                detail = _beside(_searching, registry.vectors[name], registry.vectors["memory"], "memory")
                yield Check("speed", name, f"search of {ROWS:,} vectors", "passed", detail)
        except (CadmlError, ValueError) as error:
            yield Check("speed", name, "everything", "skipped", str(error))


def _beside(prepare: Callable[[Any], Callable[[], object]], own: Any, other: Any, named: str) -> str:
    mine, theirs = (_best(prepare(item)) for item in (own, other))
    return f"{mine * 1000:.2f} ms, {mine / theirs:.2g} x {named} ({theirs * 1000:.2f} ms)"


def _best(run: Callable[[], object]) -> float:
    """Return the shortest of a few runs, in seconds: what disturbs a run only ever makes it longer."""
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _embedding(version: FeatureVersion) -> Callable[[], object]:
    values = np.random.default_rng(1).uniform(0.0, 100.0, (ROWS, len(version.slots)))
    return lambda: version.embed(values)


def _searching(backend: VectorBackend) -> Callable[[], object]:
    generator = np.random.default_rng(1)
    key = IndexKey("scorecard", "scorecard", "scaled")
    index = backend.open(backend.config_type(), key=key, dimension=WIDTH, metric="l2")
    index.upsert(np.arange(ROWS), generator.normal(size=(ROWS, WIDTH)).astype(np.float32))
    queries = generator.normal(size=(QUERIES, WIDTH)).astype(np.float32)
    return lambda: index.search(queries, 10)
