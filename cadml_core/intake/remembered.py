"""What is wanted of a content, what is known of it, and the cache that remembers it for the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from cadml_core.catalog.records import Content, ReadBy, Vector
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import CadmlError, MalformedFile
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.feature_cache.entries import Entry, Key
from cadml_core.reading.reading import Reading

_MOST_BYTES = 512 * 1024
"""Largest packed feature list that is kept in memory with a vector."""


class Known(msgspec.Struct, frozen=True):
    """A content, with the vectors that were asked for."""

    content: Content
    vectors: Mapping[str, Vector]
    """By feature version."""
    reading: Reading | None = None
    """None where nothing had to be read."""


def known_from(reading: Reading) -> Known:
    """Return what a reading found."""
    content = Content(
        sha256=reading.sha256,
        size=reading.size,
        format=reading.format,
        adapter_version=reading.adapter_version,
        document=reading.document,
        features=reading.features,
        pictures=reading.drawn,
        unit=reading.unit,
    )
    vectors = {name: Vector(np.array(values)) for name, values in reading.vectors.items()}
    return Known(content, vectors, reading)


class Remembered:
    """The feature cache as the intake uses it. Thread-safe."""

    def __init__(self, cache: FeatureCache) -> None:
        self._cache = cache

    def find(self, sha256: str, how: ReadBy, versions: Sequence[str], *, stored: bool) -> Known | None:
        """Return what the cache has of a content that is read like this; one lookup for each version.

        Args:
            sha256: The content.
            how: How the catalogue's content was read, or how it would be read now.
            versions: The feature versions wanted; the first that is missing ends the search.
            stored: Whether the catalogue has the content; where not, only what a part can be stored from.
        """
        content, vectors = None, {}
        for version in versions:
            entry = self._cache.get(Key(sha256, *how, version), whole=not stored)
            if entry is None:
                return None
            content, vectors[version] = entry.content, Vector(entry.values)
        return Known(content, vectors) if content else None

    def keep(self, known: Known) -> Known:
        """Remember a content with its vectors; return it."""
        content = known.content
        whole = known.reading is not None and len(content.features) <= _MOST_BYTES
        if not whole and (content.features or content.pictures):
            content = msgspec.structs.replace(content, features=b"", pictures=())
        how = (content.format, content.adapter_version, content.unit)
        for version, vector in known.vectors.items():
            entry = Entry(content, _read_only(vector.values), whole)
            self._cache.put(Key(content.sha256, *how, version), entry)
        return known


def _read_only(values: FloatVector) -> FloatVector:
    values = values.view()
    values.flags.writeable = False
    return values


def attempts(required: Iterable[str], optional: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return what to ask of a file: all versions; and where it does not allow them, the required ones."""
    least = tuple(dict.fromkeys(required))
    most = tuple(dict.fromkeys((*least, *optional)))
    return (most,) if most == least else (most, least)


def allows_less(error: CadmlError) -> bool:
    """Tell whether a file that was refused with optional versions may be accepted without them.

    It may hold no surface that they describe, or one too large to describe in time.
    """
    return not isinstance(error, MalformedFile)
