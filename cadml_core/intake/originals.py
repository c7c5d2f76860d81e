"""Where the files of stored contents may still be."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import msgspec

from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.paths import text_to_path
from cadml_core.reading.detection import display


class Original(msgspec.Struct, frozen=True):
    """Where the file of a stored content may still be."""

    sha256: str
    format: str
    """Name of the format adapter that read it."""
    path: str | None
    """Path of one part that has it, as ``cadml_core.catalog.paths`` writes it."""


def locate(several: Sequence[Original], blobs: BlobStore, formats: Container[str]) -> Path | str:
    """Return where a content can be read again, or why nowhere.

    Args:
        several: The same content, at one path or more.
        blobs: The kept uploads.
        formats: Names of the format adapters that are installed.
    """
    first = several[0]
    if first.format not in formats:
        return f"no format adapter {first.format!r} is installed to read its file again"
    candidates = [blobs.path(first.sha256)]
    candidates += [text_to_path(original.path) for original in several if original.path is not None]
    for path in candidates:
        if path.is_file():
            return path
    if len(candidates) == 1:
        return "its file is not kept: upload it again"
    return f"its file {display(candidates[-1])} is gone: put it back, or ingest it from where it is"
