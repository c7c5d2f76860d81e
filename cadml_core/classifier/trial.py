"""Load a model in a sandboxed process first, and see whether it predicts there.

The process has an almost empty environment, so it holds none of the server's keys; it can write little; and
whatever it starts is ended with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import msgspec

from cadml_core.classifier.interface import InterfaceProblem, probe
from cadml_core.errors import ModelRejected
from cadml_core.isolation.limits import MIB, Limits
from cadml_core.isolation.processes import (
    ForkServerProcess,
    SandboxError,
    TimeLimitExceeded,
    WorkerDied,
    WorkerSpec,
)
from cadml_core.pickles.loader import load_restricted

COMPLETED = "completed"
"""How a trial that gave a verdict ended; other ends (a signal, no time left) may differ the next time."""
_MAX_WRITTEN = 65_536
_MAX_WARNINGS = 5


class TrialLimits(msgspec.Struct, frozen=True):
    """What one trial may cost."""

    memory_mb: int = 3072
    """Address space of the process, its libraries included."""
    cpu_seconds: int = 30
    wall_seconds: float = 60.0


class TrialJob(msgspec.Struct, frozen=True):
    """One model to try."""

    data: bytes
    allowed: tuple[str, ...]
    width: int | None


class TrialReport(msgspec.Struct, frozen=True):
    """What became of it."""

    code: str | None = None
    """None where the model loads and predicts, else the error code."""
    message: str = ""
    width: int = 0
    warnings: tuple[str, ...] = ()


class TrialProgram:
    """Tries models; the program of the sandboxed process."""

    def prepare(self) -> Sequence[str]:
        """Import nothing ahead: what a model needs is known when it is loaded."""
        return ()

    def answer(self, request: bytes) -> bytes:
        """Load and probe the model of a job."""
        return msgspec.msgpack.encode(_tried(msgspec.msgpack.decode(request, type=TrialJob)))


def try_model(
    data: bytes, allowed: Sequence[str], width: int | None, limits: TrialLimits | None = None
) -> TrialReport:
    """Load and probe a model in a process of its own.

    Args:
        data: The scanned bytes.
        allowed: The globals that the scan saw.
        width: How many numbers the probe has where the model does not say.
        limits: The defaults where None.

    Raises:
        ModelRejected: MODEL_LOAD_FAILED or MODEL_INTERFACE_INVALID, with the reason.
    """
    try:
        report, outcome = _ask(TrialJob(data, tuple(allowed), width), limits or TrialLimits()), COMPLETED
    except TimeLimitExceeded:
        report, outcome = _failed("loading the model in its trial process took too long"), "out of time"
    except WorkerDied as death:
        outcome = f"signal {-death.exit_code}" if death.exit_code < 0 else f"exit {death.exit_code}"
        report = _failed(f"the trial process died ({outcome}); the model is damaged, hostile or too large")
    except (SandboxError, msgspec.MsgspecError) as error:
        report, outcome = _failed(f"the trial process gave no readable answer: {error}"), "no answer"
    if report.code is not None:
        raise ModelRejected(report.message, code=report.code, trial=outcome)
    return report


def _ask(job: TrialJob, limits: TrialLimits) -> TrialReport:
    spec = WorkerSpec(
        program=TrialProgram(),
        limits=Limits(
            seconds=limits.wall_seconds,
            address_space=limits.memory_mb * MIB + 4 * len(job.data),
            cpu_seconds=limits.cpu_seconds,
            file_size=_MAX_WRITTEN,
            answer_size=_MAX_WRITTEN,
        ),
        keeps_output=False,
    )
    server = ForkServerProcess(spec)
    try:
        worker = server.fork()
        try:
            body = worker.ask(msgspec.msgpack.encode(job)).body
        finally:
            worker.close()
    finally:
        server.close()
    if body is None:
        return _failed("loading the model takes more memory than it may")
    return msgspec.msgpack.decode(body, type=TrialReport)


def _failed(message: str) -> TrialReport:
    return TrialReport("MODEL_LOAD_FAILED", message)


def _tried(job: TrialJob) -> TrialReport:
    """Load and probe a model, in this process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            model = load_restricted(job.data, job.allowed)
        # Loading runs the code of the model's classes, which may raise anything.
        except BaseException as error:  # noqa: BLE001
            return _failed(f"loading raises {_described(error)}")
        try:
            width = probe(model, job.width)
        except InterfaceProblem as problem:
            return TrialReport("MODEL_INTERFACE_INVALID", f"the object cannot serve as a model: {problem}")
        except BaseException as error:  # noqa: BLE001 - as above
            return TrialReport("MODEL_INTERFACE_INVALID", f"probing the model raises {_described(error)}")
    told = dict.fromkeys(str(warning.message)[:300] for warning in caught)
    return TrialReport(width=width, warnings=tuple(told)[:_MAX_WARNINGS])


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
