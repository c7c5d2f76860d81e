"""Analyse one file: recognise or read it, store it, find what is like it, classify it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal

import msgspec

from cadml_core.catalog.blobs import Incoming
from cadml_core.catalog.records import Content, NewPart, Outcome, Status
from cadml_core.classifier.registry import Classification, ModelRegistry
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import CadmlError, EmptyDocument, ModelUnavailable
from cadml_core.intake.intake import Intake, SourceFile
from cadml_core.intake.remembered import Known, attempts
from cadml_core.reading.extraction import extract_values
from cadml_core.reading.reading import Reading
from cadml_core.search.questions import Hit
from cadml_core.search.similarity import SimilaritySearch


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender says of the part."""

    id: str | None = None
    """None: one made from content and name, so that sending the same file again changes nothing."""
    name: str | None = None
    """None: that of the file."""
    material: str | None = None
    project: str | None = None
    label: str | None = None


class AnalysisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one file."""

    store: bool = True
    strict: bool = False
    """Refuse a file that holds no geometry."""
    similar: int = 0
    """How many similar parts to find."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file, and what became of it."""

    id: str | None
    """None where it was not stored."""
    status: Status | Literal["not_stored"]
    content: Content
    values: FloatVector
    """Raw values of the configured feature version."""
    warnings: tuple[str, ...]
    recognised: bool
    """True where the content was known, so that it was not read."""
    duplicates: tuple[str, ...]
    """Ids of other parts with the same content."""
    similar: tuple[Hit, ...] | None
    classification: Classification | None
    timings: dict[str, float]
    """Seconds by step."""


class Stopwatch:
    """Seconds by step, and in all."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        """Note the time since the step before."""
        now = time.perf_counter()
        self._laps[step] = round(now - self._last, 6)
        self._last = now

    def note(self, step: str, seconds: float) -> None:
        """Note a time that was measured elsewhere."""
        self._laps[step] = round(seconds, 6)

    def laps(self) -> dict[str, float]:
        """Return what was noted, and the time in all so far."""
        return {**self._laps, "total": round(time.perf_counter() - self._start, 6)}


class Classifying:
    """A classification on its way.

    Args:
        future: Gives it; None where it was not asked for or cannot be had.
        seconds: How long it may be waited for, from now on.
        warning: Why it cannot be had.
    """

    def __init__(
        self, future: Future[Classification] | None, seconds: float = 0.0, warning: str | None = None
    ) -> None:
        self._future = future
        self._deadline = time.monotonic() + seconds
        self._warning = warning

    async def added(self, analysis: Analysis, stopwatch: Stopwatch) -> Analysis:
        """Return an analysis with the classification, or with a warning in its place."""
        classification = None
        if self._future is not None:
            classification = await self._answer(self._future)
            stopwatch.lap("classify")
        return msgspec.structs.replace(
            analysis,
            classification=classification,
            warnings=analysis.warnings + ((self._warning,) if self._warning else ()),
            timings=stopwatch.laps(),
        )

    async def _answer(self, future: Future[Classification]) -> Classification | None:
        left = max(0.0, self._deadline - time.monotonic())
        waited = asyncio.wrap_future(future)
        done, _ = await asyncio.wait([waited], timeout=left)
        if not done:
            waited.cancel()
            self._warning = _unclassified(ModelUnavailable("busy"))
            return None
        if waited.cancelled():
            self._warning = _unclassified(ModelUnavailable("closed"))
            return None
        error = waited.exception()
        if isinstance(error, CadmlError):
            self._warning = _unclassified(error)
            return None
        return waited.result()


class Analyzer:
    """The steps of an analysis. A caller may have other work done while a file is read or classified.

    First ``recognise``; where that knows nothing, ``read`` and ``known``; then ``classify``, which asks
    the model, and ``finish``, meanwhile. Thread-safe.
    """

    def __init__(
        self,
        intake: Intake,
        search: SimilaritySearch,
        models: ModelRegistry,
        feature: FeatureVersion,
        extra: Sequence[str] = (),
    ) -> None:
        self._intake = intake
        self._catalog = intake.catalog
        self._search = search
        self._models = models
        self._feature = feature
        self._extra = tuple(extra)

    def surely_new(self, file: SourceFile) -> bool:
        """Tell whether this content was never seen before, as with most uploads. Two quick queries."""
        return self._intake.surely_new(file)

    def attempts(self, *, store: bool) -> tuple[tuple[str, ...], ...]:
        """Return the feature versions to ask of a file: all; and where it does not allow them, fewer.

        Args:
            store: Whether the part is stored; the extra versions of one that is not would be lost.
        """
        return attempts(self._versions(), self._extra if store else ())

    def recognise(self, file: SourceFile, versions: Sequence[str]) -> Known | None:
        """Return what is known of a file's content; None where it must be read.

        Raises:
            FormatMismatch, UnsupportedContent: The content is known, but its name claims another format.
            CadmlError: Whatever refused the content when it was read before.
        """
        [known] = self._intake.recognise([file], [versions])
        if isinstance(known, CadmlError):
            raise known
        return known

    def read(self, file: SourceFile, versions: Sequence[str]) -> Future[Reading]:
        """Have a file read."""
        return self._intake.submit(file, versions)

    def known(self, reading: Reading) -> Known:
        """Return what a reading found, and remember it."""
        return self._intake.known(reading)

    def refused(self, file: SourceFile, versions: Sequence[str], error: CadmlError) -> None:
        """Remember that a file could not be read, where its content is to blame."""
        self._intake.refused(file, versions, error)

    def retry(self, file: SourceFile) -> None:
        """Forget that a content could not be read."""
        self._intake.retry([file])

    def finish(
        self,
        incoming: Incoming,
        name: str,
        known: Known,
        facts: Facts,
        options: AnalysisOptions,
        stopwatch: Stopwatch,
    ) -> Analysis:
        """Do with a known content what is wanted.

        Args:
            incoming: The received file; kept where it is stored.
            name: What the sender calls it.
            known: Its content.
            facts: What the sender says of the part.
            options: What is wanted.
            stopwatch: Goes on from the steps before.

        Raises:
            EmptyDocument: It holds no geometry, and that is not wanted.
            InvalidInput: A fact does not fit; nothing is stored.
        """
        content = known.content
        if options.strict and content.document.empty:
            raise EmptyDocument("the file is readable, but holds no geometry", format=content.format)
        values = known.vectors[self._feature.name].values
        outcome: Outcome | None = None
        duplicates: tuple[str, ...] = ()
        if options.store:
            outcome, duplicates = self._store(incoming, name, known, facts)
            stopwatch.lap("store")
        similar = None
        if options.similar:
            similar = self._similar(values, outcome, options.similar)
            stopwatch.lap("similarity")
        return Analysis(
            id=outcome.id if outcome else None,
            status=outcome.status if outcome else "not_stored",
            content=content,
            values=values,
            warnings=(
                *content.document.warnings,
                *(f"there is no picture: {drawn.failure}" for drawn in content.pictures if drawn.failure),
            ),
            recognised=known.reading is None,
            duplicates=duplicates,
            similar=similar,
            classification=None,
            timings=stopwatch.laps(),
        )

    def classify(self, known: Known) -> Classifying:
        """Ask the serving model what a content is, and do not wait for the answer.

        A model that cannot be asked is a warning, not a failed analysis.
        """
        try:
            return Classifying(self._asked(known), self._models.answer_seconds)
        except CadmlError as error:
            return Classifying(None, 0.0, _unclassified(error))

    def _versions(self) -> tuple[str, ...]:
        """Return the configured version, and the classifier's where only the file can give its values."""
        model = self._models.serving
        wanted = model.feature_version if model else None
        if wanted in (None, self._feature.name) or not self._intake.features[wanted].needs_mesh:
            return (self._feature.name,)
        return (self._feature.name, wanted)

    def _store(
        self, incoming: Incoming, name: str, known: Known, facts: Facts
    ) -> tuple[Outcome, tuple[str, ...]]:
        """Store file, part and vectors: all of them, or none."""
        sha256 = known.content.sha256
        part_id = facts.id or _own_id(sha256, name)
        before = self._content_of(part_id)
        replaced = before is not None and before != sha256
        taken = replaced and facts.id is None  # the id of this file has been given to another content since
        new = NewPart(
            id=None if taken else part_id,
            name=facts.name or name,
            content=known.content,
            material=facts.material,
            project=facts.project,
            label=facts.label,
            vectors=known.vectors,
        )
        with self._intake.blobs.keep(incoming):
            outcome = self._catalog.add([new])[0]
        if before is not None and replaced and not taken:
            self._intake.blobs.discard([before])
        same = (part.id for part in self._catalog.parts_by_sha256(sha256) if part.id != outcome.id)
        return outcome, tuple(same)

    def _content_of(self, part_id: str) -> str | None:
        found = self._catalog.parts_by_id([part_id])
        return found[part_id].sha256 if found else None

    def _similar(self, values: FloatVector, outcome: Outcome | None, count: int) -> tuple[Hit, ...]:
        if outcome is not None:
            return self._search.by_id(outcome.id, k=count).hits
        return self._search.by_values(values, k=count).hits

    def _asked(self, known: Known) -> Future[Classification] | None:
        """Ask the serving model; None where there is none.

        Raises:
            CadmlError: It cannot be asked about this content.
        """
        model = self._models.serving
        if model is None:
            return None
        wanted = model.feature_version or self._feature.name
        if wanted in known.vectors:
            return self._models.classify(known.vectors[wanted].values)
        feature = self._intake.features[wanted]
        if feature.needs_mesh:  # the model took over while this file was being read
            raise ModelUnavailable("mesh", f"it wants {wanted}")
        return self._models.classify(extract_values(feature, known.content.document))


def _unclassified(error: CadmlError) -> str:
    return f"not classified: {error.message} ({error.code})"


def _own_id(sha256: str, name: str) -> str:
    """Return the id that this content under this name always gets."""
    return hashlib.sha256(f"{sha256}\0{name}".encode()).hexdigest()[:20]
