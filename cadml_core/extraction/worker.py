"""The life of one worker process: confine itself, then answer one task after the other."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cadml_core.contracts import FeatureVersion, FormatAdapter, ReadLimits
from cadml_core.errors import CadmlError, LimitExceeded, MalformedFile
from cadml_core.extraction.detection import display
from cadml_core.extraction.messages import MAX_FRAME, Answer, Failure, Task, failure_of, frame, receive
from cadml_core.extraction.reading import AdapterFault, read_file

MIB = 1024**2
GROWTH_ALLOWED = 256 * MIB
"""A worker that holds this much more than at its start gives it back by retiring."""
MAX_TEMPORARY_FILE = 4096 * MIB
_PR_SET_PDEATHSIG = 1


class Readers(msgspec.Struct, frozen=True):
    """The plugins that a worker uses."""

    formats: Mapping[str, FormatAdapter]
    features: Mapping[str, FeatureVersion]


def serve(
    connection: socket.socket, log: int, readers: Readers, limits: ReadLimits, folder: Path, parent: int
) -> None:
    """Answer tasks until the host closes the connection. Runs in the forked process; never returns."""
    confine(log, folder, parent)
    baseline = memory_in_use()
    while body := receive(connection.recv):
        task = msgspec.msgpack.decode(body, type=Task)
        os.lseek(log, 0, os.SEEK_SET)
        os.ftruncate(log, 0)
        allow_memory(limits)
        answer = _answer(task, readers, limits)
        _empty(folder)
        retires = answer.retires or memory_in_use() - baseline > GROWTH_ALLOWED
        connection.sendall(_framed(msgspec.structs.replace(answer, retires=retires)))
        if retires:
            break
    os._exit(0)


def confine(log: int, folder: Path, parent: int) -> None:
    """Cut a fresh process off from what could outlive or disturb it.

    Its own process group lets the launcher end it with all its children; it dies with the
    launcher; what it prints goes to ``log``; it leaves no core dump.
    """
    os.setsid()
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, MAX_TEMPORARY_FILE)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable(2)
    _make(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def memory_in_use() -> int:
    """Return the bytes of private data that count against ``RLIMIT_DATA``; 0 where unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (called for every file)
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def allow_memory(limits: ReadLimits) -> None:
    """Let the next reading take ``max_memory_mb`` on top of what the process holds now.

    The soft limit is set anew for each file, so that a file is never blamed for what an earlier
    one left behind. ``RLIMIT_DATA`` counts private writable memory only: the libraries' text and
    reserved address space, half a gigabyte for a CAD kernel, do not count.
    """
    _lower(resource.RLIMIT_DATA, memory_in_use() + limits.max_memory_mb * MIB)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _answer(task: Task, readers: Readers, limits: ReadLimits) -> Answer:
    path = Path(os.fsdecode(task.path))
    try:
        reading = read_file(
            path, formats=readers.formats, features=readers.features, versions=task.versions, limits=limits
        )
        return Answer(reading=reading)
    # Whatever a stranger's code raises, SystemExit and its own classes too, the host gets an answer.
    except BaseException as error:  # noqa: BLE001
        if _out_of_memory(error):
            return _memory_answer()
        if isinstance(error, CadmlError):
            return Answer(failure=failure_of(error, _unforeseen(error)))
        refusal = MalformedFile(
            f"reading {display(path)} ended with {type(error).__name__}: {error}",
            exception=type(error).__name__,
        )
        return Answer(failure=failure_of(refusal, traceback.format_exc()))


def _memory_answer() -> Answer:
    failure = Failure(
        kind="ReaderCrashed", code="PARSE_CRASHED", stage="parse", message="", context={}, memory=True
    )
    return Answer(failure=failure, retires=True)


def _out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it wraps, came from the memory limit."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _unforeseen(error: CadmlError) -> str:
    """Return the traceback where a plugin broke its contract, nothing where the file is to blame."""
    broken = isinstance(error, AdapterFault) or error.code == CadmlError.code
    return "".join(traceback.format_exception(error)) if broken else ""


def _framed(answer: Answer) -> bytes:
    """Encode an answer; one that does not fit becomes a refusal that does."""
    try:
        data = frame(answer)
    except MemoryError:
        return frame(_memory_answer())
    if len(data) <= MAX_FRAME:
        return data
    error = LimitExceeded("answer_bytes", found=len(data), allowed=MAX_FRAME)
    return frame(Answer(failure=failure_of(error), retires=True))


def _make(folder: Path) -> None:
    """Make the folder for temporary files; a reader that needs one will say why it cannot."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _empty(folder: Path) -> None:
    """Remove what a reader left behind; bring the folder back where a cleaner of /tmp took it."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return _make(folder)
    for entry in entries:
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108 (no Path for every file)
    return None
