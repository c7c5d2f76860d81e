"""One way in for every file: recognise its content, then reuse what is stored, compute from it, or read.

Folders, uploads, ``cadml extract`` and ``cadml search FILE`` all come through here, and so does whatever
needs values of stored parts. The rule for feature versions that need a mesh is here alone: a mesh is never
stored, so their values come from a stored vector of the same content or from reading the file again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec
import numpy as np

from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.paths import text_to_path
from cadml_core.catalog.records import Content, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, MeshRequest
from cadml_core.documents.arrays import FloatVector
from cadml_core.documents.document import TriangleMesh
from cadml_core.documents.meshes import unpack_mesh
from cadml_core.errors import CadmlError
from cadml_core.reading.detection import HEAD_BYTES, display, identify
from cadml_core.reading.identity import FileIdentity, identify_file
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import Reading, extract_values, feature_version


class SourceFile(msgspec.Struct, frozen=True):
    """A file on its way in, hashed once."""

    path: Path
    """Where its bytes are. The suffix is what it claims to be."""
    identity: FileIdentity
    head: bytes
    """Its beginning, for format detection."""


def source_file(path: Path) -> SourceFile:
    """Hash a file.

    Raises:
        NotFound: There is no such file.
        UnreadableInput: It cannot be read, or is not a regular file.
    """
    return SourceFile(path, *identify_file(path))


def received_file(path: Path, sha256: str) -> SourceFile:
    """Describe a file that was hashed while it was received."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        identity = FileIdentity(sha256, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns)
        return SourceFile(path, identity, file.read(HEAD_BYTES))


class Known(msgspec.Struct, frozen=True):
    """A content, with the vectors that were asked for."""

    content: Content
    vectors: Mapping[str, Vector]
    """By feature version."""
    reading: Reading | None = None
    """None where nothing had to be read."""


class Original(msgspec.Struct, frozen=True):
    """Where the file of a stored content may still be."""

    sha256: str
    format: str
    """Name of the format adapter that read it."""
    path: str | None
    """Path of one part that has it, as ``cadml_core.catalog.paths`` writes it."""


class Intake:
    """Knows, for any file or stored content, the cheapest way to its document and vectors. Thread-safe.

    Args:
        catalog: What is known already.
        readers: Read the rest.
        formats: The format adapters by name.
        features: The feature versions by name.
        blobs: The kept uploads.
    """

    def __init__(
        self,
        catalog: Catalog,
        readers: ReaderPool,
        formats: Mapping[str, FormatAdapter],
        features: Mapping[str, FeatureVersion],
        blobs: BlobStore,
    ) -> None:
        self.catalog = catalog
        self.readers = readers
        self.formats = dict(formats)
        self.features = dict(features)
        self.blobs = blobs

    def require(self, versions: Iterable[str]) -> None:
        """Check that feature versions are installed, before anything is done for them.

        Raises:
            NotFound: One is not.
        """
        for version in versions:
            if version not in self.features:
                feature_version(self.features, version)  # says what there is

    def take(self, path: Path, versions: Sequence[str]) -> Known:
        """Return what a single file holds, and store nothing.

        Raises:
            CadmlError: As ``ReaderPool.read``.
        """
        self.require(versions)
        file = source_file(path)
        [known] = self.recognise([file], [versions])
        if isinstance(known, CadmlError):
            raise known
        return known or known_from(self._read_alone(file, versions))

    def recognise(
        self, files: Sequence[SourceFile], versions: Sequence[Sequence[str]]
    ) -> list[Known | CadmlError | None]:
        """Say of each file what is known without reading it.

        Args:
            files: The files.
            versions: For each of them the feature versions wanted.

        Returns:
            For each file what is known; None where it must be read; or the error that refuses it: a content
            that is known is refused all the same under a name that claims another format.
        """
        contents = self.catalog.contents({file.identity.sha256 for file in files})
        return [
            self._recognised(file, contents.get(file.identity.sha256), wanted)
            for file, wanted in zip(files, versions, strict=True)
        ]

    def _recognised(
        self, file: SourceFile, content: Content | None, versions: Sequence[str]
    ) -> Known | CadmlError | None:
        if content is None:
            return None
        try:
            adapter = identify(file.path, file.head, self.formats)
            if (content.format, content.adapter_version) != (adapter.name, adapter.version):
                return None
            vectors = {version: self._without_reading(content, version) for version in versions}
        except CadmlError as error:
            return error
        found = {version: Vector(values) for version, values in vectors.items() if values is not None}
        return Known(content, found) if len(found) == len(vectors) else None

    def _without_reading(self, content: Content, version: str) -> FloatVector | None:
        """Return the values of a stored content, None where only the file can tell them."""
        feature = self.features[version]
        if feature.needs_mesh:
            return self.catalog.extracted_from(content.sha256, version)
        return extract_values(feature, content.document)

    def submit(self, file: SourceFile, versions: Sequence[str]) -> Future[Reading]:
        """Have a file read; ``known_from`` makes of it what ``recognise`` would have returned.

        Where its content was read by another version of its reader, every feature version that any part has
        of it is extracted again, so that no part keeps values of the old reader.

        Raises:
            RuntimeError: The readers are closed.
        """
        sha256 = file.identity.sha256
        if self.catalog.readers_of([sha256]):
            others = self.catalog.versions_extracted_from(sha256) & set(self.features)
            versions = tuple(dict.fromkeys((*versions, *sorted(others))))
        return self.readers.submit(file.path, versions, identity=file.identity)

    def _read_alone(self, file: SourceFile, versions: Sequence[str]) -> Reading:
        """Read one file; where no reader runs yet, by a process that loads only what its format needs."""
        if self.readers.statistics.started:
            return self.submit(file, versions).result()
        adapter = identify(file.path, file.head, self.formats)
        features = {version: self.features[version] for version in versions}
        limits = self.readers.limits
        with ReaderPool({adapter.name: adapter}, features, limits=limits, workers=1) as readers:
            return readers.read(file.path, versions, identity=file.identity, adapter=adapter.name)

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
            located = stored if stored is not None else self._locate(several)
            if isinstance(located, Path):
                paths[located] = sha256
            else:
                found[sha256] = located
        adapters = {path: by_content[sha256][0].format for path, sha256 in paths.items()}
        for path, outcome in self.readers.map(paths, [version], adapters=adapters):
            found[paths[path]] = _values(outcome, paths[path], version)
            if progress is not None:
                progress(len(found), len(by_content))
        return found

    def unavailable(self, original: Original) -> str | None:
        """Say why a stored content cannot be read again, None where its file seems to be there."""
        located = self._locate([original])
        return located if isinstance(located, str) else None

    def mesh(self, original: Original, request: MeshRequest) -> TriangleMesh | str:
        """Read the mesh of a content from its file again.

        Returns:
            The mesh, or why there is none, in words that follow a part's name.
        """
        located = self._locate([original])
        if isinstance(located, str):
            return located
        try:
            reading = self.readers.read(located, (), adapter=original.format, mesh=request)
        except CadmlError as error:
            return f"its file cannot be read again ({error.code}): {error.message}"
        if reading.sha256 != original.sha256:
            return "its file has changed since: ingest it again"
        return unpack_mesh(reading.mesh) if reading.mesh else "its file holds no surface"

    def _locate(self, several: Sequence[Original]) -> Path | str:
        """Return where a content can be read again, or why nowhere."""
        first = several[0]
        if first.format not in self.formats:
            return f"no format adapter {first.format!r} is installed to read its file again"
        candidates = [self.blobs.path(first.sha256)]
        candidates += [text_to_path(original.path) for original in several if original.path is not None]
        for path in candidates:
            if path.is_file():
                return path
        if len(candidates) == 1:
            return "its file is not kept: upload it again"
        return f"its file {display(candidates[-1])} is gone: put it back, or ingest it from where it is"


def known_from(reading: Reading) -> Known:
    """Return what a reading found."""
    content = Content(
        sha256=reading.sha256,
        size=reading.size,
        format=reading.format,
        adapter_version=reading.adapter_version,
        document=reading.document,
        features=reading.features,
    )
    vectors = {name: Vector(np.array(values)) for name, values in reading.vectors.items()}
    return Known(content, vectors, reading)


def _values(outcome: Reading | CadmlError, sha256: str, version: str) -> FloatVector | str:
    """Return the values of a content that was read again, or why there are none."""
    if isinstance(outcome, CadmlError):
        return f"its file cannot be read again ({outcome.code}): {outcome.message}"
    if outcome.sha256 != sha256:
        return "its file has changed since: ingest it again"
    return outcome.vector(version).values
