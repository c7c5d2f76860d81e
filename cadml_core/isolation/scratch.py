"""The temporary folder of a fork server: held while it is in use, and removed by the next one if need be.

A folder is locked for as long as its fork server or one of its workers lives. Where host and fork server were
killed together (a container's or a service's end), the next fork server removes what is no longer locked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

PREFIX = "cadml-sandbox-"
_ATTEMPTS = 1000


def hold(folder: Path) -> int:
    """Lock a folder, made if need be, and remove those beside it that no process holds.

    Returns:
        A descriptor; closing it gives the folder up.

    Raises:
        OSError: The folder cannot be made or locked.
    """
    for _ in range(_ATTEMPTS):
        # It raises where another process removes the folder between its two looks at it.
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(folder)
        # Until it is locked, another process may take it for a forgotten one and remove it.
        if lock is not None and _is_at(folder, lock):
            sweep(folder.parent)
            return lock
        if lock is not None:
            os.close(lock)
        time.sleep(0.001)
    raise OSError(errno.EBUSY, "another process holds the temporary folder", str(folder))


def sweep(parent: Path) -> None:
    """Remove the folders that no process holds."""
    for folder in parent.glob(PREFIX + "*"):
        if (lock := _lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _is_at(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder, None where another has it or it is not ours."""
    descriptor = None
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None
