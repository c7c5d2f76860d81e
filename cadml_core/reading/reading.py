"""Read one file in this process: hash, detect, read, extract. The worker processes run exactly this."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import (
    LENGTH_UNITS,
    FormatAdapter,
    LengthUnit,
    MeshRequest,
    ReadLimits,
    UnitName,
)
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.documents.document import CadDocument
from cadml_core.documents.drawn import DrawingKind, Drawn, refusal
from cadml_core.documents.feature_list import encode_features
from cadml_core.documents.features import FeatureVector
from cadml_core.documents.meshes import pack_mesh
from cadml_core.errors import (
    CadmlError,
    EmptyDocument,
    LimitExceeded,
    MalformedFile,
    UnreadableInput,
)
from cadml_core.isolation.protocol import Fault
from cadml_core.plugins.registry import named
from cadml_core.reading.detection import HEAD_BYTES, display, identify, open_input, unreadable
from cadml_core.reading.drawing import draw_all
from cadml_core.reading.extraction import extract_all
from cadml_core.reading.identity import FileIdentity, digest

_DIGEST = re.compile("[0-9a-f]{64}")
EMPTY_WARNING = "The file is readable, but holds no geometry."


class AdapterFault(MalformedFile, Fault):
    """An adapter raised or returned what its contract does not allow; its traceback is worth a log entry."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one file."""

    sha256: str
    """Of the content that was read, 64 hex digits."""
    size: int
    """Bytes."""
    format: str
    """Name of the format adapter."""
    adapter_version: str
    document: CadDocument
    """Without its mesh and its feature list."""
    features: bytes = b""
    """The feature list, packed; empty where there is none."""
    mesh: bytes = b""
    """The mesh, packed, where the reading was asked for it and there is one."""
    drawn: tuple[Drawn, ...] = ()
    """The pictures and models that were asked for, or why there are none."""
    vectors: dict[str, list[float]]
    """Raw values by feature version, in the order of its slots; finite."""
    seconds: float
    """The whole reading, where it ran."""
    read_seconds: float
    """The format adapter's share."""
    extract_seconds: dict[str, float]
    """Each feature version's share."""
    draw_seconds: float = 0.0
    """The share of pictures and models."""
    unit: UnitName | None = None
    """What the sender has said of a file that states no unit."""

    def vector(self, version: str) -> FeatureVector:
        """Return the raw values of one of the versions that were asked for."""
        return FeatureVector(version, np.array(self.vectors[version], dtype=np.float64))

    def require_geometry(self) -> Reading:
        """Return this reading, or refuse it where the document is empty.

        Raises:
            EmptyDocument: The document holds no geometry.
        """
        if self.document.empty:
            raise EmptyDocument("the file is readable, but holds no geometry", format=self.format)
        return self


def require_plausible(
    reading: Reading,
    path: Path,
    *,
    formats: Mapping[str, FormatAdapter],
    features: Mapping[str, FeatureVersion],
    versions: Sequence[str],
    identity: FileIdentity | None,
) -> None:
    """Refuse a reading that no honest reader process would have sent for this file.

    Raises:
        ValueError: It is of an unknown format, has other vectors than were asked for, or names the content
            of another file, under which it would be stored.
    """
    adapter = formats.get(reading.format)
    if adapter is None or adapter.version != reading.adapter_version:
        raise ValueError("it is of a format that is not installed")
    if reading.vectors.keys() != set(versions):
        raise ValueError("it has other vectors than were asked for")
    for name, values in reading.vectors.items():
        row = np.array([values], dtype=np.float64)
        if row.shape != (1, len(features[name].slots)) or not np.isfinite(row).all():
            raise ValueError(f"its values of {name} cannot be")
    for drawn in reading.drawn:
        if reason := refusal(drawn):
            raise ValueError(f"it has a picture that cannot be kept: {reason}")
    if _DIGEST.fullmatch(reading.sha256) is None:
        raise ValueError("it names no content")
    # A file that changed after it was hashed has another content, and only the reader knows which.
    same = identity is not None and identity.sha256 == reading.sha256 and identity.size == reading.size
    if identity is not None and not same and identity.describes(path.stat()):
        raise ValueError("it names another content")


def read_file(
    path: Path,
    *,
    formats: Mapping[str, FormatAdapter],
    features: Mapping[str, FeatureVersion],
    versions: Sequence[str],
    limits: ReadLimits,
    identity: FileIdentity | None = None,
    adapter: str | None = None,
    mesh: MeshRequest | None = None,
    unit: UnitName | None = None,
    note: Callable[[str], None] = lambda _step: None,
    draw: Sequence[DrawingKind] = (),
    pictures: Mapping[str, PictureMaker] | None = None,
) -> Reading:
    """Read one file and extract its features, in this process.

    A mesh is made only where one of the wanted versions needs it. ``max_seconds`` and
    ``max_memory_mb`` are not enforced here; that takes a ``ReaderPool``.

    Args:
        path: The file.
        formats: The format adapters by name.
        features: The feature versions by name.
        versions: The feature versions to extract.
        limits: What the reading may cost.
        identity: What the file was when it was hashed; it is hashed again only if it has changed since.
        adapter: The name of the format adapter, where it is known: content and suffix are not asked.
        mesh: Return the mesh as well, within these bounds.
        unit: What the sender says of a file that states no unit.
        note: Told what is called next, for those who wait and hear no more.
        draw: The pictures and models wanted; one that cannot be made costs nothing else.
        pictures: The picture makers by name.

    Raises:
        NotFound: There is no such file, or a wanted feature version or the named adapter is not installed.
        PluginUnavailable: The plugin of a wanted feature version failed.
        UnreadableInput: The file cannot be read, or changed while it was.
        FormatMismatch, UnsupportedContent: No adapter fits its content.
        LimitExceeded: It is larger than ``max_bytes``, or the adapter met another bound.
        MalformedFile: The adapter refused it, or returned something other than a document.
        CadmlError: With INTERNAL_ERROR: a feature version broke its contract.
    """
    start = time.perf_counter()
    wanted = [feature_version(features, name) for name in versions]
    with open_input(path) as file:
        before = os.fstat(file.fileno())
        if before.st_size > limits.max_bytes:
            raise LimitExceeded("max_bytes", found=before.st_size, allowed=limits.max_bytes)
        if adapter:
            reader = named(formats, "format adapter", adapter, stage="parse")
        else:
            reader = identify(path, file.read(HEAD_BYTES), formats)
        known = identity is not None and identity.describes(before)
        sha256 = identity.sha256 if identity and known else digest(path, file)
        stated = LENGTH_UNITS[unit] if unit else None
        bounds = for_versions(limits, wanted, stated)
        if mesh is not None:
            bounds = msgspec.structs.replace(bounds, mesh=mesh)
        if draw:
            bounds = msgspec.structs.replace(bounds, view=True)
        document, read_seconds = _read(reader, path, bounds)
        _require_unchanged(path, before)
    vectors, extract_seconds = extract_all(document, wanted, note)
    drawn, draw_seconds = draw_all(document, draw, pictures or {}, note)
    return Reading(
        sha256=sha256,
        size=before.st_size,
        format=reader.name,
        adapter_version=reader.version,
        document=document.without_mesh(),
        features=_packed(reader.name, document),
        mesh=b"" if mesh is None or document.mesh is None else pack_mesh(document.mesh),
        drawn=drawn,
        vectors=vectors,
        seconds=time.perf_counter() - start,
        read_seconds=read_seconds,
        extract_seconds=extract_seconds,
        draw_seconds=draw_seconds,
        unit=unit,
    )


def feature_version(features: Mapping[str, FeatureVersion], name: str) -> FeatureVersion:
    """Return the feature version that a caller named.

    Raises:
        NotFound: It is not installed.
        PluginUnavailable: Its plugin failed or is disabled.
    """
    return named(features, "feature version", name, stage="features")


def for_versions(
    limits: ReadLimits, wanted: Sequence[FeatureVersion], stated: LengthUnit | None
) -> ReadLimits:
    """Return what an adapter is given: mesh and view are asked for only where a wanted version needs them."""
    mesh = (limits.mesh or MeshRequest()) if any(version.needs_mesh for version in wanted) else None
    return msgspec.structs.replace(limits, mesh=mesh, view=mesh is not None, unit=stated)


def _require_unchanged(path: Path, before: os.stat_result) -> None:
    try:
        after = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if any(
        getattr(before, field) != getattr(after, field)
        for field in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    ):
        raise UnreadableInput(
            f"{display(path)} changed while it was being read; read it again once it is settled",
            path=display(path),
            reason="changed while being read",
        )


def _read(adapter: FormatAdapter, path: Path, limits: ReadLimits) -> tuple[CadDocument, float]:
    start = time.perf_counter()
    try:
        document = adapter.read(path, limits)
    except CadmlError as error:
        error.context.setdefault("format", adapter.name)
        raise
    except MemoryError:
        raise
    # Third-party code may raise anything, or call sys.exit(); the file is refused in every case.
    except (Exception, SystemExit) as error:
        raise AdapterFault(
            f"the {adapter.name} adapter could not read {display(path)}: {type(error).__name__}: {error}",
            format=adapter.name,
            exception=type(error).__name__,
        ) from error
    return _settled(adapter.name, document, limits.unit), time.perf_counter() - start


def _settled(adapter: str, document: Any, stated: LengthUnit | None) -> CadDocument:
    """Return a document that can be stored: finite, encodable, and not silently empty."""
    if not isinstance(document, CadDocument):
        raise AdapterFault(
            f"the {adapter} adapter returned {type(document).__name__}, expected a CadDocument",
            format=adapter,
        )
    try:
        summary = msgspec.to_builtins(document.without_mesh())
        clean = msgspec.convert(_clean(summary, "document"), CadDocument)
    except (ValueError, TypeError) as error:
        raise AdapterFault(
            f"the {adapter} adapter returned a bad document: {error}", format=adapter
        ) from error
    warnings = clean.warnings
    if clean.empty and not warnings:
        warnings = (EMPTY_WARNING,)
    if stated and clean.unit != stated.name and not clean.empty:
        warnings += (_unit_unused(adapter, clean.unit, stated),)
    return msgspec.structs.replace(
        clean,
        warnings=warnings,
        mesh=document.mesh,
        boundary=document.boundary,
        view=document.view,
        features=document.features,
    )


def _packed(adapter: str, document: CadDocument) -> bytes:
    try:
        return b"" if document.features is None else encode_features(document.features)
    except (ValueError, TypeError) as error:
        raise AdapterFault(
            f"the {adapter} adapter returned a bad feature list: {error}", format=adapter
        ) from error


def _unit_unused(adapter: str, own: str | None, stated: LengthUnit) -> str:
    reason = f"the file itself states {own}" if own else f"the {adapter} adapter does not convert by it"
    return f"the unit given, {stated.name}, was not used: {reason}"


def _clean(value: Any, where: str) -> Any:
    """Refuse numbers that no database takes; replace the lone surrogates of badly decoded text."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}")
    if isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"{where} is an integer of {value.bit_length()} bits")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key, where): _clean(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, where) for item in value]
    return value
