"""The searches that look for planted parts: the plan's figures, and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions
from cadml_core.runtime import Runtime
from cadml_core.search.similarity import SimilaritySearch
from cadml_hostapp.demo.findings import Searches

SHAPE = "shape"


@contextmanager
def searching(runtime: Runtime, folder: Path) -> Iterator[Searches]:
    """Search by the runtime's feature version and, where it is installed, by shape."""
    searches = {runtime.feature.name: runtime.search}
    if SHAPE not in runtime.registry.features or SHAPE in searches:
        yield searches
        return
    surfaces = sorted(path for path in folder.rglob("*") if path.suffix in (".step", ".iges", ".stl"))
    ingest(surfaces, intake=runtime.intake, options=IngestOptions(versions=(SHAPE,), label_from="parent"))
    backend = runtime.registry.vectors["memory"]
    shape = SimilaritySearch(runtime.catalog, runtime.registry.features[SHAPE], backend, probing=False)
    try:
        yield {**searches, SHAPE: shape}
    finally:
        shape.close()
