"""The errors of files whose reader process did not answer."""

from __future__ import annotations

import logging
import signal

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import CadmlError, PluginUnavailable, ReaderCrashed, ReaderTimeout
from cadml_core.isolation.ends import ProtocolError, SandboxError, StartFailed, TimeLimitExceeded, WorkerDied
from cadml_core.isolation.limits import MIB
from cadml_core.reading.program import DRAW_SECONDS, Task
from cadml_core.reading.steps import DRAW_STEP, last_step

log = logging.getLogger(__name__)

_MEMORY_WORDS = ("bad_alloc", "MemoryError", "out of memory", "OutOfMemory")
_MEMORY_SHARE = 0.7
"""A worker that dies with this share of its memory limit in use is taken to have died of it, since kernels do
not check whether an allocation failed. Workers that reach half of the limit and live are retired, so the file
to blame is the last one."""


def failure(task: Task, error: SandboxError, limits: ReadLimits) -> CadmlError:
    """Return what the caller is told where the sandbox gave no answer.

    Where it happened while a feature version computed its values, that is said too, and is ``during``.
    """
    step = last_step(error.output) if isinstance(error, TimeLimitExceeded | WorkerDied) else None
    told = _failure(task, error, limits)
    if step == DRAW_STEP and told.context.get("limit") == "processor":
        told.message = f"drawing took more than {DRAW_SECONDS:g} s of processor time and was ended"
        told.context["allowed"] = DRAW_SECONDS
    elif step is not None:
        told.message += f". It was read by then; this was {step}"
    if step is not None:
        told.args = (told.message,)
        told.context["during"] = step
    return told


def _failure(task: Task, error: SandboxError, limits: ReadLimits) -> CadmlError:
    if isinstance(error, TimeLimitExceeded):
        return ReaderTimeout(
            f"reading {task.name} took longer than {limits.max_seconds:g} s on the clock and was ended; raise"
            " PARSE_TIMEOUT_SECONDS if this file is wanted",
            limit="clock",
            allowed=limits.max_seconds,
        )
    if isinstance(error, WorkerDied):
        if error.exit_code == -signal.SIGXCPU:
            return ReaderTimeout(
                f"reading {task.name} took more than {limits.max_cpu_seconds:g} s of processor time and was"
                " ended; raise PARSE_CPU_SECONDS if this file is wanted",
                limit="processor",
                allowed=limits.max_cpu_seconds,
            )
        return _crash(task, error, limits)
    if isinstance(error, ProtocolError):
        log.warning("the reader process of %s sent an invalid answer and was ended: %s", task.name, error)
        return ReaderCrashed(
            f"the reader process sent an invalid answer while it read {task.name}; its memory was most likely"
            " damaged",
            reason="answer",
        )
    if isinstance(error, StartFailed):
        return cannot_start(error)
    return CadmlError("the reader pool was closed", stage="parse")


def out_of_memory(
    task: Task, limits: ReadLimits, killed: str | None = None, exit_code: int | None = None
) -> ReaderCrashed:
    """Describe a file that needs more memory than it may take."""
    allowed = limits.max_memory_mb
    return ReaderCrashed(
        f"reading {task.name} needs more than {allowed} MiB of memory; raise PARSE_MEMORY_MB if this"
        " file is wanted",
        reason="memory",
        allowed_mb=allowed,
        signal=killed,
        exit_code=exit_code,
    )


def cannot_start(error: StartFailed) -> PluginUnavailable:
    """Describe reader processes that cannot be started."""
    return PluginUnavailable(f"the reader processes cannot start: {error}", reason=str(error))


def _crash(task: Task, death: WorkerDied, limits: ReadLimits) -> ReaderCrashed:
    """Describe a worker that died, by its exit status, its memory and its output."""
    if death.output:
        log.info("the reader process of %s died; it had printed: %s", task.name, death.output)
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
        f"the reader process {how} while it read {task.name}",
        reason=reason,
        signal=killed,
        exit_code=death.exit_code,
    )


def _took_too_much(death: WorkerDied, limits: ReadLimits) -> bool:
    near = death.grown > _MEMORY_SHARE * limits.max_memory_mb * MIB
    return near or any(word in death.output for word in _MEMORY_WORDS)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
