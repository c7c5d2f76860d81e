"""Pictures and models of stored contents: those that are kept, and those that are made when first wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import msgspec

from cadml_core.catalog.pictures import makers_of, picture_of, store_picture
from cadml_core.catalog.records import Part
from cadml_core.contracts.formats import MeshRequest
from cadml_core.documents.drawn import DrawingKind, Drawn
from cadml_core.errors import CadmlError, NotFound
from cadml_core.intake.intake import Intake, SourceFile
from cadml_core.intake.originals import Original, locate
from cadml_core.reading.drawing import maker_text
from cadml_core.reading.reading import Reading

STAGE = "picture"


class DrawingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the contents that had no picture, or one by an older maker."""

    total: int
    """Contents of the parts that were looked at."""
    made: int
    current: int
    """They had one already, or it was tried by this maker."""
    failed: int
    failures: tuple[tuple[str, str], ...]
    """Path or name of a part, and why it has no picture."""


class Drawings:
    """What can be seen of stored parts. Thread-safe.

    Args:
        intake: Reads files again, and has the catalogue where pictures are kept.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._catalog = intake.catalog

    def of_part(self, part_id: str, kind: DrawingKind) -> Drawn:
        """Return a part's picture or model; made now where there is none, or one by an older maker.

        Raises:
            NotFound: There is no such part, or nothing can be drawn of it; the message says why.
            CadmlError: Its file cannot be read any more, as ``ReaderPool.read``.
        """
        part = self._catalog.part(part_id)
        if part.sha256 is None or part.format is None:
            raise NotFound(f"part {part_id!r} was registered without a file", stage=STAGE, id=part_id)
        kept = picture_of(self._catalog, part.sha256, kind)
        maker = maker_text(self._intake.readers.pictures, part.format, kind)
        if kept is None or kept.maker != maker:
            try:
                kept = self._made(part, kind)
            except NotFound:
                if kept is None or not kept.data:
                    raise  # an older picture of the same content is better than none
        return shown(kept)

    def of_file(self, file: SourceFile, kind: DrawingKind) -> Future[Reading]:
        """Have a file drawn that is not stored; ``shown`` takes the picture from its ``drawn``."""
        return self._intake.readers.submit(
            file.path, (), identity=file.identity, unit=file.unit, draw=(kind,)
        )

    def _made(self, part: Part, kind: DrawingKind) -> Drawn:
        reading = self._submitted(part, kind).result()
        return self._kept(part, reading)

    def _submitted(self, part: Part, kind: DrawingKind) -> Future[Reading]:
        """Have the file of a part drawn.

        Raises:
            NotFound: Its file is not there any more.
        """
        sha256, form = str(part.sha256), str(part.format)
        same = self._catalog.parts_by_sha256(sha256)
        originals = [Original(sha256, form, other.path) for other in (part, *same)]
        located = locate(originals, self._intake.blobs, self._intake.formats)
        if isinstance(located, str):
            raise NotFound(f"part {part.id!r} has no picture: {located}", stage=STAGE, id=part.id)
        how = self._catalog.readers_of([sha256]).get(sha256)
        mesh = MODEL_MESH if kind == "model" else None
        return self._intake.readers.submit(
            located, (), adapter=form, unit=how.unit if how else None, draw=(kind,), mesh=mesh
        )

    def _kept(self, part: Part, reading: Reading) -> Drawn:
        if reading.sha256 != part.sha256:
            raise NotFound(
                f"part {part.id!r} has no picture: its file has changed since, so ingest it again",
                stage=STAGE,
                id=part.id,
            )
        [drawn] = reading.drawn
        store_picture(self._catalog, reading.sha256, drawn)
        return drawn

    def complete(
        self, parts: Iterable[Part], progress: Callable[[int, int], None] | None = None
    ) -> DrawingSummary:
        """Draw the contents of these parts that have no picture, or one by an older maker.

        Args:
            parts: The parts; those without a file are left out.
            progress: Told how many contents are done, of how many.
        """
        by_content = {part.sha256: part for part in parts if part.sha256 and part.format}
        makers = makers_of(self._catalog, filter(None, by_content), "own")
        known = self._intake.readers.pictures
        waiting = [
            part
            for sha256, part in by_content.items()
            if makers.get(str(sha256)) != maker_text(known, str(part.format), "own")
        ]
        failures: list[tuple[str, str]] = []
        done = len(by_content) - len(waiting)
        for group in _groups(waiting, 4 * self._intake.readers.workers):
            futures = [(part, self._attempt(part)) for part in group]
            for part, attempt in futures:
                if reason := self._outcome(part, attempt):
                    failures.append((part.path or part.name, reason))
                done += 1
                if progress is not None:
                    progress(done, len(by_content))
        return DrawingSummary(
            total=len(by_content),
            made=len(waiting) - len(failures),
            current=len(by_content) - len(waiting),
            failed=len(failures),
            failures=tuple(failures),
        )

    def _attempt(self, part: Part) -> Future[Reading] | CadmlError:
        try:
            return self._submitted(part, "own")
        except NotFound as error:
            return error

    def _outcome(self, part: Part, attempt: Future[Reading] | CadmlError) -> str:
        """Keep what an attempt brought; return why there is no picture, empty where there is one."""
        if isinstance(attempt, CadmlError):
            return attempt.message
        try:
            return self._kept(part, attempt.result()).failure
        except CadmlError as error:
            return error.message


MODEL_MESH = MeshRequest(max_triangles=20_000)
"""Of models: more would take longer to send than to see."""


def shown(drawn: Drawn) -> Drawn:
    """Return a picture or model, or say why there is none.

    Raises:
        NotFound: It could not be drawn.
    """
    if not drawn.data:
        raise NotFound(f"there is no picture: {drawn.failure}", stage=STAGE, reason=drawn.failure)
    return drawn


def _groups(parts: Sequence[Part], size: int) -> Iterable[Sequence[Part]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))
