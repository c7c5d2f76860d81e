"""Which content a file has: its hash, and what shows without hashing again that it has changed."""

from __future__ import annotations

import hashlib
import os
from io import BufferedReader
from pathlib import Path

import msgspec

from cadml_core.reading.detection import HEAD_BYTES, open_input, unreadable


class FileIdentity(msgspec.Struct, frozen=True):
    """The content of a file at the moment it was hashed."""

    sha256: str
    """64 hex digits."""
    size: int
    """Bytes."""
    device: int
    inode: int
    modified_ns: int

    def describes(self, status: os.stat_result) -> bool:
        """Tell whether a file with this status still has this content, as far as its status shows."""
        return (self.size, self.device, self.inode, self.modified_ns) == (
            status.st_size,
            status.st_dev,
            status.st_ino,
            status.st_mtime_ns,
        )


def identity_of(sha256: str, status: os.stat_result) -> FileIdentity:
    """Return the identity of a file whose content has just been hashed."""
    return FileIdentity(sha256, status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns)


def identify_file(path: Path) -> tuple[FileIdentity, bytes]:
    """Hash a file once.

    Returns:
        Its identity, and its first ``HEAD_BYTES`` for format detection.

    Raises:
        NotFound: There is no such file.
        UnreadableInput: It cannot be read, or is not a regular file.
    """
    with open_input(path) as file:
        status = os.fstat(file.fileno())
        head = file.read(HEAD_BYTES)
        return identity_of(digest(path, file), status), head


def digest(path: Path, file: BufferedReader) -> str:
    """Return the sha256 of an open file's whole content, 64 hex digits.

    Raises:
        UnreadableInput: Reading failed.
    """
    try:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
