"""The child process of a trial: limit yourself, load the model, probe it, report, and leave."""

from __future__ import annotations

import os
import sys
import warnings
from typing import BinaryIO, NoReturn

import msgspec

from cadml_core.classifier.interface import InterfaceProblem, probe
from cadml_core.classifier.trial import TrialJob, TrialLimits, TrialReport
from cadml_core.pickles.loader import load_restricted

_MAX_WRITTEN = 65_536
_MAX_WARNINGS = 5


def main() -> NoReturn:
    """Do the job on standard input, and answer on what was standard output."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=TrialJob)
    data = sys.stdin.buffer.read()
    answer = _take_output()
    _limit(job.limits, len(data))
    report = _tried(job, data)
    answer.write(msgspec.json.encode(report))
    answer.flush()
    os._exit(0)  # a model may have planted exit handlers


def _take_output() -> BinaryIO:
    """Keep standard output for the answer; what the model prints goes nowhere."""
    answer = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return answer


def _limit(limits: TrialLimits, size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the time limit of the parent remains
        return
    memory = limits.memory_mb * 1024**2 + 4 * size
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, _MAX_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _tried(job: TrialJob, data: bytes) -> TrialReport:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            model = load_restricted(data, job.allowed)
        except BaseException as error:  # noqa: BLE001  (a stranger's code may raise anything)
            return TrialReport("MODEL_LOAD_FAILED", f"loading raises {_told(error)}")
        try:
            width = probe(model, job.width)
        except InterfaceProblem as problem:
            return TrialReport("MODEL_INTERFACE_INVALID", f"the object cannot serve as a model: {problem}")
        except BaseException as error:  # noqa: BLE001
            return TrialReport("MODEL_INTERFACE_INVALID", f"probing the model raises {_told(error)}")
    told = dict.fromkeys(str(warning.message)[:300] for warning in caught)
    return TrialReport(width=width, warnings=tuple(told)[:_MAX_WARNINGS])


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
