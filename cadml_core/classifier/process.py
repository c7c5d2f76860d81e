"""The host's side of a model: a confined process that holds it, is asked, and is killed and restarted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar

import msgspec

from cadml_core import metrics
from cadml_core.classifier.messages import (
    LOAD,
    MAX_ANSWER,
    PREDICT,
    Loaded,
    LoadJob,
    Message,
    Predicted,
    Refused,
    Unloaded,
    decoded,
    row_bytes,
)
from cadml_core.classifier.program import ModelProgram
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import MODEL_FAULTS, ModelRejected, ModelUnavailable
from cadml_core.isolation.ends import Closed, SandboxError, StartFailed, TimeLimitExceeded, WorkerDied
from cadml_core.isolation.limits import MIB, Limits
from cadml_core.isolation.processes import WorkerSpec
from cadml_core.isolation.workers import OwnWorker, WorkerPool
from cadml_core.settings import Settings

T = TypeVar("T")

COMPLETED = "completed"
"""How a load that gave a verdict ended; other ends (a signal, no time left) may differ the next time."""
NOT_STARTED = "not started"
"""How a load ended that was broken off, or for which there was no process: no fault of the model."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds between two starts of a process that failed; twice as long after each failure."""


class ProcessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may cost."""

    memory_mb: int = 3072
    """Address space of its process, libraries included."""
    load_seconds: float = 60.0
    """For loading it and trying it out."""
    predict_seconds: float = 2.0
    """For one answer."""


def process_limits(settings: Settings) -> ProcessLimits:
    """Return the limits that the settings ask for."""
    return ProcessLimits(
        memory_mb=settings.model_memory_mb,
        load_seconds=settings.model_load_timeout_seconds,
        predict_seconds=settings.model_predict_timeout_seconds,
    )


class ModelProcess:
    """One model in a process of its own. No call but ``load`` and ``close`` waits. Safe for threads.

    A process that dies, hangs, runs out of memory or sends what is no answer is killed; it costs the answer
    that was wanted of it, and those asked for until another has loaded the model again.

    Args:
        job: The model, and what to try it on.
        limits: What it may cost.
        failed: Told the reason of each failure, in the thread that asks the process.
    """

    def __init__(self, job: LoadJob, limits: ProcessLimits, failed: Callable[[str], None]) -> None:
        self._job = job
        self._limits = limits
        self._failed = failed
        self._loaded: Loaded | None = None
        self._closed = False
        self._labels: frozenset[str] = frozenset()
        self._restarting = threading.Lock()
        self._wait = _FIRST_WAIT
        self._not_before = 0.0
        allowed = Limits(
            seconds=limits.load_seconds,
            address_space=limits.memory_mb * MIB + 4 * len(job.data),
            file_size=0,
            writes=False,
            answer_size=MAX_ANSWER,
            retires=False,
        )
        spec = WorkerSpec(program=ModelProgram(), limits=allowed, keeps_output=False)
        self._pool = WorkerPool(spec, workers=1, name="cadml-model")

    @property
    def ready(self) -> bool:
        """True where an answer can be had now."""
        return self._loaded is not None

    def load(self) -> Loaded:
        """Load the model and try it out; waits until that is done.

        Raises:
            ModelRejected: MODEL_LOAD_FAILED or MODEL_INTERFACE_INVALID, with the reason.
        """
        try:
            return self._pool.submit(self._load).result()
        # The pool is closed, before or while the model is loaded.
        except (RuntimeError, SandboxError, CancelledError):
            raise _load_failed(
                "loading the model was broken off: it is no longer wanted", NOT_STARTED
            ) from None

    def predict(self, row: FloatMatrix, told: Callable[[Predicted], T]) -> Future[T]:
        """Ask for the answer to one row, (1, width).

        Args:
            row: What to ask.
            told: Makes of the answer what the future gives.

        Returns:
            A future that fails with ``ModelUnavailable`` only; it can be cancelled until then.
        """
        if self._loaded is None:
            self._restart()
            return _failed("restarting")
        request = PREDICT + row_bytes(row)
        try:
            return self._pool.submit(lambda worker: told(self._predict(worker, request)))
        except RuntimeError:
            return _failed("closed")

    def close(self) -> None:
        """Kill the process and whatever was asked of it. Closing twice is allowed."""
        self._closed = True
        self._loaded = None
        self._pool.close()

    def _load(self, worker: OwnWorker) -> Loaded:
        self._loaded = None
        worker.discard()  # a fresh process for each load
        loaded = _loaded(worker, self._job, self._limits)
        self._wait = _FIRST_WAIT
        self._labels = frozenset(loaded.labels)
        self._loaded = loaded
        return loaded

    def _predict(self, worker: OwnWorker, request: bytes) -> Predicted:
        if self._loaded is None:  # lost since this was asked for
            raise ModelUnavailable("restarting")
        started = time.perf_counter()
        try:
            message = self._asked(worker, request)
        except _Lost as lost:
            self._loaded = None
            worker.discard()
            if self._closed:
                raise ModelUnavailable("closed") from None
            if lost.reason in MODEL_FAULTS:
                self._failed(lost.reason)
            self._restart()
            raise ModelUnavailable(lost.reason) from None
        metrics.model_prediction_latency_seconds.observe(time.perf_counter() - started)
        if isinstance(message, Refused):
            raise ModelUnavailable("error", message.message)
        return message

    def _asked(self, worker: OwnWorker, request: bytes) -> Predicted | Refused:
        try:
            answer = worker.ask(request, seconds=self._limits.predict_seconds)
            if answer.body is None:
                raise _Lost("memory" if answer.failure is None else "answer")
            message = decoded(answer.body)
        except (SandboxError, ValueError) as error:
            raise _Lost(_reason(error)) from None
        if isinstance(message, Unloaded):
            raise _Lost("died")
        if not self._is_plausible(message) or answer.retires:
            raise _Lost("answer")
        assert isinstance(message, Predicted | Refused)
        return message

    def _is_plausible(self, message: Message) -> bool:
        """Tell whether it could be this model's answer."""
        if isinstance(message, Refused):
            return True
        if not isinstance(message, Predicted):
            return False
        count = len(self._loaded.labels) if self._loaded else 0
        known = not self._labels or message.label in self._labels
        return known and len(message.probabilities) in (0, count or len(message.probabilities))

    def _restart(self) -> None:
        """Have another process load the model, unless that is under way or too soon."""
        if time.monotonic() < self._not_before or not self._restarting.acquire(blocking=False):
            return
        try:
            self._pool.submit(self._reload)
        except RuntimeError:  # closed
            self._restarting.release()

    def _reload(self, worker: OwnWorker) -> None:
        try:
            self._load(worker)
        except ModelRejected as error:
            self._not_before = time.monotonic() + self._wait
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            if error.context["trial"] != NOT_STARTED:
                self._failed("start")
        finally:
            self._restarting.release()


class _Lost(Exception):
    """The process gave no answer that can be believed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _reason(error: Exception) -> str:
    if isinstance(error, TimeLimitExceeded):
        return "timeout"
    if isinstance(error, StartFailed | Closed):
        return "restarting"
    return "died" if isinstance(error, WorkerDied) else "answer"


def _failed(reason: str) -> Future[T]:
    future: Future[T] = Future()
    future.set_exception(ModelUnavailable(reason))
    return future


def _loaded(worker: OwnWorker, job: LoadJob, limits: ProcessLimits) -> Loaded:
    """Have a process load a model.

    Raises:
        ModelRejected: It cannot; the context says in ``trial`` how the attempt ended.
    """
    try:
        answer = worker.ask(LOAD + msgspec.msgpack.encode(job))
        if answer.body is None:
            raise _load_failed("loading the model takes more memory than it may", COMPLETED)
        message = decoded(answer.body)
    except TimeLimitExceeded:
        raise _load_failed(
            f"loading the model and trying it out took longer than {limits.load_seconds:g} s"
            " (MODEL_LOAD_TIMEOUT_SECONDS)",
            "out of time",
        ) from None
    except WorkerDied as death:
        ended = f"signal {-death.exit_code}" if death.exit_code < 0 else f"exit {death.exit_code}"
        raise _load_failed(
            f"the model's process died ({ended}); the model is damaged, hostile or too large", ended
        ) from None
    except (StartFailed, Closed) as error:
        raise _load_failed(f"there is no process to load the model in: {error}", NOT_STARTED) from None
    except (SandboxError, ValueError) as error:
        raise _load_failed(f"the model's process gave no readable answer: {error}", "no answer") from None
    if isinstance(message, Refused):
        raise ModelRejected(message.message, code=message.code, trial=COMPLETED)
    if not isinstance(message, Loaded):
        raise _load_failed("the model's process answered something else", "no answer")
    return message


def _load_failed(message: str, ended: str) -> ModelRejected:
    return ModelRejected(message, code="MODEL_LOAD_FAILED", trial=ended)
