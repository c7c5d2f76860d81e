"""What the caller is told where a reader process did not answer."""

from __future__ import annotations

import logging
import os
import signal

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import PluginUnavailable, ReaderCrashed, ReaderTimeout
from cadml_core.isolation.confinement import MIB
from cadml_core.isolation.processes import Nonsense, WorkerDied
from cadml_core.isolation.protocol import Task
from cadml_core.reading.detection import display

log = logging.getLogger(__name__)

_MEMORY_WORDS = ("bad_alloc", "MemoryError", "out of memory", "OutOfMemory")
_MEMORY_SHARE = 0.7
"""A worker that dies with this share of its memory limit in use is taken to have died of it: kernels
do not check whether an allocation failed. Workers that come half as far and live are retired, so it
was this file."""


def timeout(task: Task, limits: ReadLimits) -> ReaderTimeout:
    """Describe a worker that was ended because it took too long."""
    return ReaderTimeout(
        f"reading {name_of(task)} took longer than {limits.max_seconds:g} s and was ended; raise"
        " PARSE_TIMEOUT_SECONDS if this file is wanted",
        allowed=limits.max_seconds,
    )


def crash(task: Task, death: WorkerDied, limits: ReadLimits) -> ReaderCrashed:
    """Describe a worker that died, by the traces that its death left."""
    if death.said:
        log.info("the reader of %s died and had said: %s", name_of(task), death.said)
    killed = _signal_name(-death.exit_code) if death.exit_code < 0 else None
    if _took_too_much(death, limits):
        return out_of_memory(task, limits, killed, death.exit_code)
    if killed == "SIGKILL":  # not by the pool: what that kills is a timeout
        how, reason = "was killed, most likely because the machine ran out of memory,", "memory"
    elif killed:
        how, reason = f"died by {killed}", "signal"
    else:
        how, reason = f"ended with exit code {death.exit_code}", "exit"
    return ReaderCrashed(
        f"the reader process {how} while it read {name_of(task)}",
        reason=reason,
        signal=killed,
        exit_code=death.exit_code,
    )


def out_of_memory(
    task: Task, limits: ReadLimits, killed: str | None = None, exit_code: int | None = None
) -> ReaderCrashed:
    """Describe a file that needs more memory than it may take."""
    allowed = limits.max_memory_mb
    return ReaderCrashed(
        f"reading {name_of(task)} needs more than {allowed} MiB of memory; raise PARSE_MEMORY_MB if this"
        " file is wanted",
        reason="memory",
        allowed_mb=allowed,
        signal=killed,
        exit_code=exit_code,
    )


def nonsense(task: Task, error: Nonsense) -> ReaderCrashed:
    """Describe a worker that lived, but not in its right mind."""
    log.warning("the reader of %s sent what is no answer and was ended: %s", name_of(task), error)
    return ReaderCrashed(
        f"the reader process sent what is no answer while it read {name_of(task)}; its memory was most likely"
        " damaged",
        reason="answer",
    )


def cannot_start(error: OSError) -> PluginUnavailable:
    """Describe an operating system that gives no process, socket or temporary file."""
    return PluginUnavailable(
        f"the reader processes cannot start: {error}; they need a temporary folder with space (TMPDIR), and"
        " a few open files for each worker (ulimit -n)",
        reason=str(error),
    )


def name_of(task: Task) -> str:
    """Return the path of a task's file as text that can be shown."""
    return display(os.fsdecode(task.path))


def _took_too_much(death: WorkerDied, limits: ReadLimits) -> bool:
    near = death.grown > _MEMORY_SHARE * limits.max_memory_mb * MIB
    return near or any(word in death.said for word in _MEMORY_WORDS)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
