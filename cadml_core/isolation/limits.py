"""What a worker may take, and how the operating system is told."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import math
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

MIB = 1024**2
MAX_ANSWER = 64 * MIB
"""A document summary is a few kilobytes."""
MAX_FILE = 4096 * MIB
MAX_OPEN_FILES = 512
MAX_THREADS = 512
"""A library starts one for each core. Those of one process together are counted ten times a second."""
GROWTH_ALLOWED = 256 * MIB
"""A worker that holds this much more than at its start gives it back by retiring."""
_PR_SET_PDEATHSIG = 1


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker may take; sizes in bytes, None for no limit."""

    seconds: float
    """Time for one request, enforced by the host: the worker is killed."""
    memory: int | None = None
    """Private memory for one request, on top of what the worker holds before it."""
    address_space: int | None = None
    """Of the process, libraries included."""
    cpu_seconds: int | None = None
    """Processor time of the worker's whole life."""
    request_cpu_seconds: float | None = None
    """Processor time for one request, to the second; the operating system ends the worker by SIGXCPU."""
    file_size: int = MAX_FILE
    """Largest file that it may write."""
    writes: bool = True
    """Whether it gets a folder for temporary files; else it may write none."""
    answer_size: int = MAX_ANSWER
    retires: bool = True
    """Whether it ends itself once it has grown, to give memory back."""
    niceness: int = 0
    """How far it steps back where the host wants the processor too, from 0 to 19."""


def confine(limits: Limits, output: int, folder: Path, parent: int) -> None:
    """Separate a fresh worker from everything that it could outlive or disturb.

    It leads a process group of its own, so that it can be killed with all its children; it dies with its
    parent; what it prints goes to ``output``, temporary files to ``folder``; it leaves no core dump.
    """
    os.setsid()
    os.nice(limits.niceness)
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.file_size)
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds)
    _limit(resource.RLIMIT_AS, limits.address_space)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    if limits.memory is not None:  # what ``allow_memory`` sets can be raised again, but not above this
        _limit(resource.RLIMIT_DATA, MemoryUse().data() + limits.memory + GROWTH_ALLOWED)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(2)
    os.environ["TMPDIR"] = os.environ["HOME"] = tempfile.tempdir = str(folder)


def make_folder(folder: Path) -> None:
    """Make the folder for temporary files; code that needs it reports where that failed."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def allow_memory(size: int, held: int) -> None:
    """Let the process take ``size`` bytes on top of those that it holds now.

    The soft limit is set anew for each request, so that no request pays for what an earlier one left
    behind. ``RLIMIT_DATA`` counts private writable memory only: the libraries' text and reserved address
    space, half a gigabyte for a CAD kernel, do not count.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (_at_most(held + size, hard), hard))


def allow_cpu(seconds: float) -> None:
    """Let the process use so many seconds of processor time, in all its threads, on top of what it has used.

    The limit is in whole seconds, so that up to one more passes. What other processes take does not count.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    bound = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (_at_most(bound, hard), hard))


class MemoryUse:
    """What this process holds. Made before the process is confined, after which it cannot open ``/proc``."""

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):  # not Linux
            self._file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def data(self) -> int:
        """Return the bytes of private data that count against ``RLIMIT_DATA``; 0 where unknown."""
        return self._column(5)

    def private_resident(self) -> int:
        """Return the bytes of private memory in use, with which a forked child starts; 0 where unknown."""
        return self._column(1) - self._column(2)

    def _column(self, number: int) -> int:
        if self._file is None:
            return 0
        return int(os.pread(self._file, 256, 0).split()[number]) * resource.getpagesize()


def peak_resident() -> int:
    """Return the most bytes of memory that this process ever had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit(kind: int, value: int | None) -> None:
    """Set soft and hard limit, so that the process cannot raise it again."""
    if value is not None:
        bound = _at_most(value, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (bound, bound))


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
