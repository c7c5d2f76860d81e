"""The life of one worker process: confine itself, then answer one task after the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.errors import CadmlError, LimitExceeded, MalformedFile
from cadml_core.isolation.confinement import MIB, allow_data, confine, data_in_use, make_folder, peak_resident
from cadml_core.isolation.protocol import MAX_FRAME, Answer, Failure, Task, failure_of, frame, receive
from cadml_core.reading.detection import display
from cadml_core.reading.reading import AdapterFault, read_file

GROWTH_ALLOWED = 256 * MIB
"""A worker that holds this much more than at its start gives it back by retiring."""
PEAK_ALLOWED = 0.5
"""So does one that once came this near to its limit: if it dies later, its peak tells nothing else."""
MAX_TEMPORARY_FILE = 4096 * MIB


class Readers(msgspec.Struct, frozen=True):
    """The plugins that a worker uses."""

    formats: Mapping[str, FormatAdapter]
    features: Mapping[str, FeatureVersion]


def serve(
    connection: socket.socket, log: int, readers: Readers, limits: ReadLimits, folder: Path, parent: int
) -> None:
    """Answer tasks until the host closes the connection. Runs in the forked process; never returns."""
    confine(log, folder, parent, MAX_TEMPORARY_FILE)
    make_folder(folder)
    held, peak = data_in_use(), peak_resident()
    while body := receive(connection.recv):
        task = msgspec.msgpack.decode(body, type=Task)
        os.lseek(log, 0, os.SEEK_SET)
        os.ftruncate(log, 0)
        allow_data(limits.max_memory_mb * MIB)
        answer = _answer(task, readers, limits)
        _empty(folder)
        holds = data_in_use() - held > GROWTH_ALLOWED
        peaked = peak_resident() - peak > PEAK_ALLOWED * limits.max_memory_mb * MIB
        retires = answer.retires or holds or peaked
        connection.sendall(_framed(msgspec.structs.replace(answer, retires=retires)))
        if retires:
            break
    os._exit(0)


def _answer(task: Task, readers: Readers, limits: ReadLimits) -> Answer:
    path = Path(os.fsdecode(task.path))
    try:
        reading = read_file(
            path,
            formats=readers.formats,
            features=readers.features,
            versions=task.versions,
            limits=limits,
            identity=task.identity,
            adapter=task.adapter,
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


def _empty(folder: Path) -> None:
    """Remove what a reader left behind; bring the folder back where a cleaner of /tmp took it."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        make_folder(folder)
        return
    with contextlib.suppress(OSError):
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108 (no Path for every file)
