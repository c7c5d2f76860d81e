"""A temporary folder for each pool, removed in the end, and if need be by the next pool.

A folder is locked for as long as its owner lives. Where host and launcher were killed together (a
container's or a service's end), nobody is left to remove it; whoever makes the next one removes all
that are no longer locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "cadml-readers-"


class Scratch:
    """A locked temporary folder.

    Raises:
        OSError: There is no place for one.
    """

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _lock(self.path)
        if self._lock is None:  # swept by another process between the two lines above
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._lock = _lock(self.path)

    def remove(self) -> None:
        """Remove the folder with everything in it; twice is allowed."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep(folder: Path) -> None:
    """Remove the folders that nobody holds any more."""
    for path in folder.glob(PREFIX + "*"):
        if (lock := _lock(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the folder, None where another has it or it is not ours."""
    descriptor = None
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None
