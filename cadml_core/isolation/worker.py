"""The life of one worker process: give up its rights, then answer one request after the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import traceback
from pathlib import Path

from cadml_core.errors import CadmlError, LimitExceeded
from cadml_core.isolation.limits import (
    GROWTH_ALLOWED,
    Limits,
    MemoryUse,
    allow_cpu,
    allow_memory,
    confine,
    make_folder,
    peak_resident,
)
from cadml_core.isolation.program import Program
from cadml_core.isolation.protocol import Answer, Fault, failure_of, granted, message, receive
from cadml_core.isolation.sandbox.entering import enter
from cadml_core.isolation.sandbox.installation import Installation

PEAK_ALLOWED = 0.5
"""So does one that once used this share of its memory limit: the peak of a process never falls, so if it
died later, the host could not tell whether the last request took the memory."""
_OUT_OF_MEMORY = Answer(retires=True)


def serve(
    connection: socket.socket,
    output: int,
    program: Program,
    limits: Limits,
    installed: Installation,
    folder: Path,
    parent: int,
) -> None:
    """Answer requests until the host closes the connection. Runs in the forked process; never returns.

    The first message names the files and folders that it may read; nothing else is read before the rights
    are given up.

    Args:
        connection: Where requests come from.
        output: Descriptor of the file for what the worker prints; emptied before each request.
        program: What to do with a request.
        limits: What the worker may take.
        installed: What it needs of the Python installation.
        folder: For temporary files; emptied after each request.
        parent: Process id of the fork server.
    """
    confine(limits, output, folder, parent)
    make_folder(folder)
    grant = receive(connection.recv)
    if grant is None:
        os._exit(0)
    use = MemoryUse()
    enter(installed, granted(grant), [str(folder)] if limits.writes else [])
    held, peak = use.data(), peak_resident()
    while request := receive(connection.recv):
        _empty_file(output)
        if limits.memory is not None:
            allow_memory(limits.memory, use.data())
        if limits.request_cpu_seconds is not None:
            allow_cpu(limits.request_cpu_seconds)
        answer = _answer(program, request)
        del request
        _empty_folder(folder)
        retires = answer.retires or (limits.retires and _has_grown(use.data() - held, peak, limits))
        connection.sendall(_encoded(Answer(answer.body, answer.failure, retires), limits.answer_size))
        if retires:
            break
    os._exit(0)  # skips exit handlers, which third-party code may have registered


def _answer(program: Program, request: bytes) -> Answer:
    try:
        return Answer(program.answer(request))
    # Third-party code may raise anything, SystemExit and classes of its own too; the host gets an answer.
    except BaseException as error:  # noqa: BLE001
        return _OUT_OF_MEMORY if _is_out_of_memory(error) else Answer(failure=failure_of(*_as_cadml(error)))


def _as_cadml(error: BaseException) -> tuple[CadmlError, str]:
    """Return the error that the host raises, and its traceback where third-party code is to blame."""
    if not isinstance(error, CadmlError):
        unforeseen = CadmlError(f"{type(error).__name__}: {error}")
        return unforeseen, "".join(traceback.format_exception(error))
    if isinstance(error, Fault) or error.code == CadmlError.code:
        return error, "".join(traceback.format_exception(error))
    return error, ""


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it wraps, came from the memory limit."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        # Libraries have their own classes for this, Open CASCADE's Standard_OutOfMemory for one.
        if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _has_grown(grown: int, peak: int, limits: Limits) -> bool:
    """Tell whether the worker should give back memory, compared with what it had at its start."""
    if grown > GROWTH_ALLOWED:
        return True
    return limits.memory is not None and peak_resident() - peak > PEAK_ALLOWED * limits.memory


def _encoded(answer: Answer, longest: int) -> bytes:
    """Encode an answer; one that does not fit becomes a refusal that does."""
    try:
        data = message(answer)
    except MemoryError:
        return message(_OUT_OF_MEMORY)
    if len(data) <= longest:
        return data
    error = LimitExceeded("answer_bytes", found=len(data), allowed=longest)
    return message(Answer(failure=failure_of(error), retires=True))


def _empty_file(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # output that is thrown away has no length
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)


def _empty_folder(folder: Path) -> None:
    """Remove what is left in the folder; make it again where a cleaner of /tmp took it."""
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
                os.unlink(entry.path)  # noqa: PTH108 (no Path for every request)
