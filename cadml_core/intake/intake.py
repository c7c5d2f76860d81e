"""One way in for every file: recognise its content, then reuse what is stored, compute from it, or read.

Folders, uploads, ``cadml extract`` and ``cadml search FILE`` all come through here, and so does whatever
needs values of stored parts. The rule for feature versions that need a mesh is here alone: a mesh is never
stored, so their values come from a stored vector of the same content or from reading the file again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec

from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.records import Content, ReadBy, Vector
from cadml_core.catalog.refusals import Refusal, Refusals
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import LENGTH_UNITS, FormatAdapter, UnitName
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import CadmlError
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.intake.originals import Original, locate
from cadml_core.intake.refusals import depends_on_content, reader_text, recall, refusal_of
from cadml_core.intake.remembered import Known, Remembered, known_from
from cadml_core.reading.detection import HEAD_BYTES, display, identify
from cadml_core.reading.extraction import extract_values
from cadml_core.reading.identity import FileIdentity, identify_file
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import Reading, feature_version, for_versions
from cadml_core.reading.steps import extract_step

log = logging.getLogger(__name__)


class SourceFile(msgspec.Struct, frozen=True):
    """A file on its way in, hashed once."""

    path: Path
    """Where its bytes are. The suffix is what it claims to be."""
    identity: FileIdentity
    head: bytes
    """Its beginning, for format detection."""
    unit: UnitName | None = None
    """What the sender says of a file that states no unit; None leaves what was said before."""


def source_file(path: Path, unit: UnitName | None = None) -> SourceFile:
    """Hash a file.

    Raises:
        NotFound: There is no such file.
        UnreadableInput: It cannot be read, or is not a regular file.
    """
    return SourceFile(path, *identify_file(path), unit)


def received_file(path: Path, sha256: str, unit: UnitName | None = None) -> SourceFile:
    """Describe a file that was hashed while it was received."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        identity = FileIdentity(sha256, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns)
        return SourceFile(path, identity, file.read(HEAD_BYTES), unit)


class Intake:
    """Knows, for any file or stored content, the cheapest way to its document and vectors. Thread-safe.

    Args:
        catalog: What is known already.
        readers: Read the rest.
        formats: The format adapters by name.
        features: The feature versions by name.
        blobs: The kept uploads.
        cache: What was read or asked for lately.
    """

    def __init__(
        self,
        catalog: Catalog,
        readers: ReaderPool,
        formats: Mapping[str, FormatAdapter],
        features: Mapping[str, FeatureVersion],
        blobs: BlobStore,
        cache: FeatureCache,
    ) -> None:
        self.catalog = catalog
        self.readers = readers
        self.formats = dict(formats)
        self.features = dict(features)
        self.blobs, self.cache = blobs, cache
        self._refusals = Refusals(catalog)
        self._remembered = Remembered(cache)
        self._announced: list[Path] = []

    def require(self, versions: Iterable[str]) -> None:
        """Check that feature versions are installed, before anything is done for them.

        Raises:
            NotFound: One is not.
        """
        for version in versions:
            if version not in self.features:
                feature_version(self.features, version)  # says what there is

    def take(
        self, path: Path, versions: Sequence[str], *, unit: UnitName | None = None, retry: bool = False
    ) -> Known:
        """Return what a single file holds, and store nothing but that it cannot be read.

        Args:
            path: The file.
            versions: The feature versions wanted.
            unit: What the sender says of a file that states no unit.
            retry: Whether to read again what could not be read before.

        Raises:
            CadmlError: As ``ReaderPool.read``.
        """
        self.require(versions)
        file = source_file(path, unit)
        if retry:
            self.retry([file])
        [known] = self.recognise([file], [versions])
        if isinstance(known, CadmlError):
            raise known
        if known:
            return known
        try:
            return self.known(self._read_alone(file, versions))
        except CadmlError as error:
            self.refused(file, versions, error)
            raise

    def surely_new(self, file: SourceFile) -> bool:
        """Tell whether this content was never seen before, as with most uploads."""
        sha256 = file.identity.sha256
        known = self.catalog.readers_of([sha256]) or self._refusals.of([sha256])
        return not known and self.cache.lacks(sha256)

    def _would_read(self, file: SourceFile) -> ReadBy:
        """Return how a file that is not stored would be read."""
        adapter = identify(file.path, file.head, self.formats)
        return ReadBy(adapter.name, adapter.version, file.unit)

    def refused(self, file: SourceFile, versions: Sequence[str], error: CadmlError) -> None:
        """Remember that a file cannot be read, where its content is to blame."""
        if not depends_on_content(error):
            return
        try:
            reader = self._reader_text(identify(file.path, file.head, self.formats), file, versions)
            if step := error.context.get("during"):
                reader = f"{reader} {step}"  # the file can be read; only this version is not to be had
            sha256, path = file.identity.sha256, display(file.path)
            self._refusals.remember(refusal_of(error, sha256, path, reader))
        except CadmlError as reason:  # the caller has an error to tell already, which says more
            log.warning("cannot remember that %s is unreadable: %s", display(file.path), reason)

    def retry(self, files: Iterable[SourceFile]) -> None:
        """Forget that these contents could not be read."""
        self._refusals.forget({file.identity.sha256 for file in files})

    def _reader_text(self, adapter: FormatAdapter, file: SourceFile, versions: Sequence[str]) -> str:
        stated = LENGTH_UNITS[file.unit] if file.unit else None
        wanted = [self.features[version] for version in versions]
        return reader_text(adapter, for_versions(self.readers.limits, wanted, stated))

    def recognise(
        self, files: Sequence[SourceFile], versions: Sequence[Sequence[str]]
    ) -> list[Known | CadmlError | None]:
        """Say of each file what is known without reading it.

        Args:
            files: The files.
            versions: For each of them the feature versions wanted.

        Returns:
            For each file what is known; None where it must be read; or the error that refuses it: the one
            that this reader met with the content before, or that of a known content under a name that claims
            another format.
        """
        how = self.catalog.readers_of({file.identity.sha256 for file in files})
        wanted = list(zip(files, versions, strict=True))
        answers: list[Known | CadmlError | None] = [
            self._cached(file, how.get(file.identity.sha256), names) for file, names in wanted
        ]
        hashes = {file.identity.sha256 for file, answer in zip(files, answers, strict=True) if not answer}
        if not hashes:
            return answers
        contents, refusals = self.catalog.contents(hashes), self._refusals.of(hashes)
        return [
            answer or self._recognised(file, contents.get(sha256), refusals.get(sha256, ()), names)
            for answer, (file, names) in zip(answers, wanted, strict=True)
            for sha256 in [file.identity.sha256]
        ]

    def _cached(self, file: SourceFile, how: ReadBy | None, versions: Sequence[str]) -> Known | None:
        """Say what is in memory of a file's content, given how the catalogue's was read."""
        try:
            now = self._would_read(file)
            if how is not None and not self.is_current(how, self.formats[now.format], file.unit):
                return None
            return self._remembered.find(file.identity.sha256, how or now, versions, stored=how is not None)
        except CadmlError:  # the name claims another format; known contents say so
            return None

    def _recognised(
        self,
        file: SourceFile,
        content: Content | None,
        refusals: Sequence[Refusal],
        versions: Sequence[str],
    ) -> Known | CadmlError | None:
        if content is None and not refusals:
            return None
        try:
            adapter = identify(file.path, file.head, self.formats)
            how = content and ReadBy(content.format, content.adapter_version, content.unit)
            if content and how and self.is_current(how, adapter, file.unit):
                vectors = {version: self._without_reading(content, version) for version in versions}
                found = {version: Vector(values) for version, values in vectors.items() if values is not None}
                if len(found) == len(vectors):
                    return self._remembered.keep(Known(content, found))
            reader = self._reader_text(adapter, file, versions)
            ways = {reader, *(f"{reader} {extract_step(version)}" for version in versions)}
            return recall(refusals, ways, display(file.path))
        except CadmlError as error:
            return error

    @staticmethod
    def is_current(how: ReadBy, adapter: FormatAdapter | None, unit: UnitName | None) -> bool:
        """Tell whether an adapter would read a content as it was read, with the unit that is stated now."""
        same_adapter = adapter is not None and (adapter.name, adapter.version) == (how.format, how.version)
        return same_adapter and unit in (None, how.unit)

    def _without_reading(self, content: Content, version: str) -> FloatVector | None:
        """Return the values of a stored content, None where only the file can tell them."""
        feature = self.features[version]
        if feature.needs_mesh:
            return self.catalog.extracted_from(content.sha256, version)
        return extract_values(feature, content.document)

    def warm(self, content: Content, version: str) -> bool:
        """Remember a stored content with its vector; False where only its file could tell the vector.

        Raises:
            CadmlError: The feature version broke its promise.
        """
        values = self._without_reading(content, version)
        if values is not None:
            self._remembered.keep(Known(content, {version: Vector(values)}))
        return values is not None

    def announced(self, paths: Sequence[Path | str]) -> Sequence[Path | str]:
        """Let readers open all of these folders, once a file must be read; return the paths."""
        self._announced += map(Path, filter(os.path.isdir, paths))
        return paths

    def submit(self, file: SourceFile, versions: Sequence[str]) -> Future[Reading]:
        """Have a file read; ``known`` makes of it what ``recognise`` would have returned.

        Where its content was read by another version of its reader, or in another unit, every feature version
        that any part has of it is extracted again, so that no part keeps values of the old reading.

        Raises:
            RuntimeError: The readers are closed.
        """
        sha256, unit = file.identity.sha256, file.unit
        if how := self.catalog.readers_of([sha256]).get(sha256):
            others = self.catalog.versions_extracted_from(sha256) & set(self.features)
            versions = tuple(dict.fromkeys((*versions, *sorted(others))))
            unit = unit or how.unit
        while self._announced:
            self.readers.allow_reading(self._announced.pop())
        draw = self.readers.draws
        return self.readers.submit(file.path, versions, identity=file.identity, unit=unit, draw=draw)

    def known(self, reading: Reading) -> Known:
        """Return what a reading found, and remember it."""
        return self._remembered.keep(known_from(reading))

    def _read_alone(self, file: SourceFile, versions: Sequence[str]) -> Reading:
        """Read one file; where no reader runs yet, by a process that loads only what its format needs."""
        if self.readers.statistics.started:
            return self.submit(file, versions).result()
        adapter = identify(file.path, file.head, self.formats)
        features = {version: self.features[version] for version in versions}
        limits = self.readers.limits
        with ReaderPool({adapter.name: adapter}, features, limits=limits, workers=1) as readers:
            how = self.catalog.readers_of([file.identity.sha256]).get(file.identity.sha256)
            unit = file.unit or (how.unit if how else None)
            return readers.read(file.path, versions, identity=file.identity, adapter=adapter.name, unit=unit)

    # Values of stored contents

    def values_from_files(
        self,
        originals: Iterable[Original],
        version: str,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> dict[str, FloatVector | str]:
        """Return raw values that a stored document summary cannot give, by reading the files again.

        Args:
            originals: The contents; of several with one sha256 the first whose file is there counts.
            version: The feature version.
            progress: Told how many contents are done, of how many.

        Returns:
            By sha256: float64 (number of slots,), or why there are none, in words that follow a part's name.
        """
        by_content: dict[str, list[Original]] = {}
        for original in originals:
            by_content.setdefault(original.sha256, []).append(original)
        found: dict[str, FloatVector | str] = {}
        paths: dict[Path, str] = {}
        for sha256, several in by_content.items():
            stored = self.catalog.extracted_from(sha256, version)
            located = stored if stored is not None else locate(several, self.blobs, self.formats)
            if isinstance(located, Path):
                paths[located] = sha256
            else:
                found[sha256] = located
        adapters = {path: by_content[sha256][0].format for path, sha256 in paths.items()}
        self.readers.allow_reading(self.blobs.folder)
        how = self.catalog.readers_of(paths.values())
        units = {path: how[sha256].unit if sha256 in how else None for path, sha256 in paths.items()}
        for path, outcome in self.readers.map(paths, [version], adapters=adapters, units=units):
            found[paths[path]] = _values(outcome, paths[path], version)
            if progress is not None:
                progress(len(found), len(by_content))
        return found

    def unavailable(self, original: Original) -> str | None:
        """Say why a stored content cannot be read again, None where its file seems to be there."""
        located = locate([original], self.blobs, self.formats)
        return located if isinstance(located, str) else None


def _values(outcome: Reading | CadmlError, sha256: str, version: str) -> FloatVector | str:
    """Return the values of a content that was read again, or why there are none."""
    if isinstance(outcome, CadmlError):
        return f"its file cannot be read again ({outcome.code}): {outcome.message}"
    if outcome.sha256 != sha256:
        return "its file has changed since: ingest it again"
    return outcome.vector(version).values
