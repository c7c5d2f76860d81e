"""Analyse an uploaded file: recognise or read it, extract its features, store it, find what is like it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import numpy as np

from cadml_core import metrics
from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.records import Content, NewPart, Outcome, Vector
from cadml_core.classifier.registry import Classification, ModelRegistry
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import CadmlError, EmptyDocument
from cadml_core.reading.detection import HEAD_BYTES, identify
from cadml_core.runtime import Runtime
from cadml_hostapp.http.uploads import UploadedFile
from cadml_hostapp.schemas import (
    AnalyzeAnswer,
    AnalyzeOptions,
    FeaturesAnswer,
    HitAnswer,
    document_answer,
    hit_answer,
)

T = TypeVar("T")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the client says of the part."""

    id: str | None = None
    name: str | None = None
    material: str | None = None
    project: str | None = None
    label: str | None = None


class _Known(msgspec.Struct, frozen=True):
    """A content, its raw values, and whether it had to be read for them."""

    content: Content
    values: FloatVector
    cached: bool


class Analyzer:
    """Analyses files for one runtime; blocking work goes to threads and reader processes."""

    def __init__(
        self, runtime: Runtime, blobs: BlobStore, threads: ThreadPoolExecutor, models: ModelRegistry
    ) -> None:
        self._runtime = runtime
        self._blobs = blobs
        self._threads = threads
        self._models = models
        self._feature = runtime.feature

    async def analyze(self, file: UploadedFile, facts: Facts, options: AnalyzeOptions) -> AnalyzeAnswer:
        """Analyse one received file.

        Raises:
            CadmlError: Whatever refuses the file; nothing of it is stored then.
        """
        try:
            answer = await self._analyze(file, facts, options)
        except CadmlError as error:
            _rename(error, file)
            metrics.analysis_requests_total.labels(status="error").inc()
            metrics.analysis_errors_total.labels(stage=error.stage, code=error.code).inc()
            raise
        metrics.analysis_requests_total.labels(status="success").inc()
        return answer

    async def _analyze(self, file: UploadedFile, facts: Facts, options: AnalyzeOptions) -> AnalyzeAnswer:
        if file.error is not None:
            raise file.error
        clock = _Clock()
        known = None if self._surely_new(file) else await self._in_thread(self._recognise, file)
        clock.lap("recognise")
        if known is None:
            known = await self._read(file, clock)
        if options.strict and known.content.document.empty:
            raise EmptyDocument("the file is readable, but holds no geometry", format=known.content.format)
        outcome: Outcome | None = None
        duplicates: list[str] = []
        if options.store:
            outcome, duplicates = await self._in_thread(self._store, file, facts, known)
            clock.lap("store")
        similar = None
        if options.calculate_similarity:
            similar = await self._in_thread(self._similar, known, outcome, options.top_k)
            clock.lap("similarity")
        document, warnings = known.content.document, known.content.document.warnings
        classification = None
        if options.classify and self._models.version().current is not None:
            classification, warning = await self._in_thread(self._classify, known)
            warnings += (warning,) if warning else ()
            clock.lap("classify")
        return AnalyzeAnswer(
            id=outcome.id if outcome else None,
            status=outcome.status if outcome else "not_stored",
            file_name=file.name,
            format=known.content.format,
            size=known.content.size,
            sha256=known.content.sha256,
            document=document_answer(document),
            features=FeaturesAnswer(
                self._feature.name, known.values.tolist(), [slot.name for slot in self._feature.slots]
            ),
            warnings=warnings,
            cache_hit=known.cached,
            duplicates=duplicates,
            similar=similar,
            classification=classification,
            timings=clock.laps(),
        )

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _surely_new(self, file: UploadedFile) -> bool:
        """Tell what most uploads are, where that takes less time than going to a thread."""
        catalog = self._runtime.catalog
        return catalog.local and not catalog.stored_contents([file.incoming.sha256])

    def _recognise(self, file: UploadedFile) -> _Known | None:
        """Return what the catalogue knows of this content; None where it must be read."""
        incoming = file.incoming
        with incoming.path.open("rb") as opened:
            adapter = identify(incoming.path, opened.read(HEAD_BYTES), self._runtime.registry.formats)
        catalog = self._runtime.catalog
        content = catalog.contents([incoming.sha256]).get(incoming.sha256)
        if content is None or (content.format, content.adapter_version) != (adapter.name, adapter.version):
            return None
        version = self._feature.name
        for part in catalog.parts_by_sha256(incoming.sha256):
            vector = catalog.vectors_of([part.row]).get(part.row, {}).get(version)
            if vector is not None and vector.source == "extracted":
                return _Known(content, vector.values, cached=True)
        return None

    async def _read(self, file: UploadedFile, clock: _Clock) -> _Known:
        version = self._feature.name
        reading = await asyncio.wrap_future(self._runtime.readers.submit(file.incoming.path, [version]))
        clock.lap("read_and_extract")
        clock.note("extract", reading.extract_seconds[version])
        content = Content(
            sha256=reading.sha256,
            size=reading.size,
            format=reading.format,
            adapter_version=reading.adapter_version,
            document=reading.document,
        )
        return _Known(content, np.array(reading.vectors[version]), cached=False)

    def _store(self, file: UploadedFile, facts: Facts, known: _Known) -> tuple[Outcome, list[str]]:
        """Store file, part and vector: all of them, or none."""
        catalog, sha256 = self._runtime.catalog, known.content.sha256
        part_id = facts.id or _own_id(sha256, file.name)
        before = self._content_of(part_id)
        replaced = before is not None and before != sha256
        taken = replaced and facts.id is None  # the id of this file has been given to another content since
        new = NewPart(
            id=None if taken else part_id,
            name=facts.name or file.name,
            content=known.content,
            material=facts.material,
            project=facts.project,
            label=facts.label,
            vectors={self._feature.name: Vector(known.values)},
        )
        with self._blobs.keep(file.incoming):
            outcome = catalog.add([new])[0]
        if before is not None and replaced and not taken:
            self._blobs.discard([before])
        same = [part.id for part in catalog.parts_by_sha256(sha256) if part.id != outcome.id]
        return outcome, same

    def _classify(self, known: _Known) -> tuple[Classification | None, str | None]:
        """Ask the serving model; a model that cannot answer is a warning, not a failed analysis."""
        model = self._models.version().current
        try:
            if model is None:
                return None, None
            wanted = model.feature_version or self._feature.name
            if wanted == self._feature.name:
                return self._models.predict(known.values), None
            feature = self._runtime.registry.features[wanted]
            if feature.needs_mesh:
                return None, f"the model wants {wanted}, which needs a mesh: not classified"
            return self._models.predict(feature.extract(known.content.document)), None
        except CadmlError as error:
            return None, f"not classified: {error.message}"

    def _content_of(self, part_id: str) -> str | None:
        found = self._runtime.catalog.parts_by_id([part_id])
        return found[part_id].sha256 if found else None

    def _similar(self, known: _Known, outcome: Outcome | None, top_k: int) -> list[HitAnswer]:
        search = self._runtime.search
        if outcome is not None:
            found = search.by_id(outcome.id, k=top_k)
        else:
            found = search.by_values(known.values, k=top_k)
        return [hit_answer(hit) for hit in found.hits]


def _own_id(sha256: str, name: str) -> str:
    """Return the id that this content under this name always gets, so that sending it again changes
    nothing."""
    return hashlib.sha256(f"{sha256}\0{name}".encode()).hexdigest()[:20]


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._laps[step] = round(now - self._last, 6)
        self._last = now

    def note(self, step: str, seconds: float) -> None:
        self._laps[step] = round(seconds, 6)

    def laps(self) -> dict[str, float]:
        return {**self._laps, "total": round(time.perf_counter() - self._start, 6)}


def _rename(error: CadmlError, file: UploadedFile) -> None:
    """Call the file what the client called it, not by its temporary name."""
    path = file.incoming.path
    for known in (str(path), path.name):
        error.message = error.message.replace(known, file.name)
        for key, value in error.context.items():
            if isinstance(value, str):
                error.context[key] = value.replace(known, file.name)
