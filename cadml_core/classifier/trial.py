"""Load a model in a child process first, with limits on memory, time and files, and see whether it predicts.

The child gets an empty environment, so it holds none of the server's keys; it cannot write files; and
whatever it starts is ended with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from cadml_core.errors import ModelRejected

_MAX_REPORT = 65_536
# Numeric libraries start one thread per core at import, and reserve memory for each.
_CHILD_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": os.defpath,
}
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from cadml_core.classifier.trial_child import main; main()"
)


class TrialLimits(msgspec.Struct, frozen=True):
    """What one trial may cost."""

    memory_mb: int = 3072
    """Address space of the child, its libraries included."""
    cpu_seconds: int = 30
    wall_seconds: float = 60.0


class TrialJob(msgspec.Struct, frozen=True):
    """What the child is asked; the bytes of the model follow."""

    allowed: tuple[str, ...]
    width: int | None
    limits: TrialLimits


class TrialReport(msgspec.Struct, frozen=True):
    """What the child answers."""

    code: str | None = None
    """None where the model loads and predicts, else the error code."""
    message: str = ""
    width: int = 0
    warnings: tuple[str, ...] = ()


def try_model(
    data: bytes, allowed: Sequence[str], width: int | None, limits: TrialLimits | None = None
) -> TrialReport:
    """Load and probe the model in a child.

    Args:
        data: The scanned bytes.
        allowed: The globals that the scan saw.
        width: How many numbers the probe has where the model does not say.
        limits: The defaults where None.

    Raises:
        ModelRejected: MODEL_LOAD_FAILED or MODEL_INTERFACE_INVALID, with the reason.
    """
    limits = limits or TrialLimits()
    job = TrialJob(tuple(allowed), width, limits)
    # Unnamed files rather than pipes: no deadlock, and the child's limit on file size bounds its answer.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as answer:
        question.write(msgspec.json.encode(job) + b"\n")
        question.write(data)
        question.seek(0)
        status = _run(question, answer, limits)
        answer.seek(0)
        report = _report(answer.read(_MAX_REPORT), status)
    if report.code is not None:
        raise ModelRejected(report.message, code=report.code, trial=_outcome(status))
    return report


def _run(question: BinaryIO, answer: BinaryIO, limits: TrialLimits) -> int | None:
    """Return the exit status of the child, None where it ran out of time."""
    importable = [entry or str(Path.cwd()) for entry in sys.path]
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, json.dumps(importable)],
        stdin=question,
        stdout=answer,
        stderr=subprocess.DEVNULL,
        env=None if sys.platform == "win32" else _CHILD_ENVIRONMENT,
        cwd=os.sep,
        start_new_session=True,
    )
    try:
        return child.wait(limits.wall_seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything it has started in its session."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _report(text: bytes, status: int | None) -> TrialReport:
    if status is None:
        return TrialReport("MODEL_LOAD_FAILED", "loading the model in its trial process took too long")
    if status == 0:
        try:
            return msgspec.json.decode(text, type=TrialReport)
        except msgspec.MsgspecError:
            return TrialReport("MODEL_LOAD_FAILED", "the trial process gave no readable answer")
    return TrialReport(
        "MODEL_LOAD_FAILED",
        f"the trial process died ({_outcome(status)}); the model is damaged, hostile or too large",
    )


def _outcome(status: int | None) -> str:
    if status is None:
        return "out of time"
    if status < 0:
        return f"signal {-status}"
    return f"exit {status}"
