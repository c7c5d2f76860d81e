"""What the operating system is told about a worker: when it dies, what it may take, where it may write."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

MIB = 1024**2
_PR_SET_PDEATHSIG = 1


def confine(log: int, folder: Path, parent: int, largest_file: int) -> None:
    """Cut a fresh process off from what could outlive or disturb it.

    Its own process group lets the launcher end it with all its children; it dies with the
    launcher; what it prints goes to ``log``, temporary files to ``folder``; it leaves no core dump.
    """
    os.setsid()
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, largest_file)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable(2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def make_folder(folder: Path) -> None:
    """Make the folder for temporary files; a reader that needs one will say why it cannot."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def allow_data(size: int) -> None:
    """Let the process take ``size`` bytes on top of what it holds now.

    The soft limit is set anew for each file, so that a file is never blamed for what an earlier
    one left behind. ``RLIMIT_DATA`` counts private writable memory only: the libraries' text and
    reserved address space, half a gigabyte for a CAD kernel, do not count.
    """
    _lower(resource.RLIMIT_DATA, data_in_use() + size)


def data_in_use() -> int:
    """Return the bytes of private data that count against ``RLIMIT_DATA``; 0 where unknown."""
    return _statm(5)


def private_resident() -> int:
    """Return the bytes of private memory in use, with which a forked child starts; 0 where unknown."""
    return _statm(1) - _statm(2)


def peak_resident() -> int:
    """Return the most bytes of memory that this process ever had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _statm(column: int) -> int:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (called for every file)
            return int(file.read().split()[column]) * resource.getpagesize()
    except OSError:
        return 0


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
