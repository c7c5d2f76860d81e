"""The pool of reader processes: untrusted files are read there, within limits of time and memory."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from types import TracebackType

import msgspec

from cadml_core import metrics
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.isolation.limits import MIB, Limits
from cadml_core.isolation.processes import (
    Closed,
    ProtocolError,
    StartFailed,
    TimeLimitExceeded,
    WorkerDied,
    WorkerSpec,
)
from cadml_core.isolation.protocol import error_of
from cadml_core.isolation.workers import Workers
from cadml_core.plugins.pickling import pickled
from cadml_core.reading.detection import detect
from cadml_core.reading.failures import cannot_start, crash, out_of_memory, protocol_error, timeout
from cadml_core.reading.identity import FileIdentity
from cadml_core.reading.program import ReaderProgram, Task
from cadml_core.reading.reading import Reading, feature_version

log = logging.getLogger(__name__)

_readings = msgspec.msgpack.Decoder(Reading)


class PoolStatistics(msgspec.Struct, frozen=True):
    """What a pool has done so far."""

    workers: int
    """How many it may keep."""
    alive: int
    """How many it keeps now."""
    started: int
    crashed: int
    """Workers that died by themselves: signals, exits, memory."""
    timed_out: int
    retired: int
    """Workers that ended after an answer, to give back memory."""
    read: int
    refused: int
    server_pid: int | None
    """The fork server's process id, None where there is none."""


class ReaderPool:
    """Reads files in worker processes: one queue, ``workers`` threads, one process for each thread.

    A thread owns its process, so a process that dies, hangs or grows costs exactly the file that it
    was reading. Processes start at the first file, or at ``start()``; a dead one is replaced when the
    next file comes. Every failure arrives as a ``CadmlError``. Thread-safe.

    The adapters and feature versions are sent by pickle, once: their classes must be importable. An
    adapter may name, in an attribute ``preload``, modules that are imported once for all workers.

    Args:
        formats: The format adapters by name, ``registry.formats``. Only these are imported by the
            readers, so a caller who knows the format may pass just that one.
        features: The feature versions by name, ``registry.features``.
        limits: What one file may cost.
        workers: How many files are read at the same time; at least 1.

    Raises:
        PluginUnavailable: A plugin cannot be sent to another process.
    """

    def __init__(
        self,
        formats: Mapping[str, FormatAdapter],
        features: Mapping[str, FeatureVersion],
        *,
        limits: ReadLimits,
        workers: int,
    ) -> None:
        self.limits = limits
        self.workers = max(1, workers)
        self._formats = formats
        self._features = features
        program = ReaderProgram(pickled(formats, features), limits)
        allowed = Limits(seconds=limits.max_seconds, memory=limits.max_memory_mb * MIB)
        self._workers = Workers(WorkerSpec(program=program, limits=allowed))
        self._queue: queue.SimpleQueue[tuple[Future[Reading], Task] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._counts = dict.fromkeys(("crashed", "timed_out", "retired", "read", "refused"), 0)
        self._closed = False
        self._owner = os.getpid()

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, *, wait: bool = False) -> None:
        """Begin to import the plugins in the background, so that the first file need not wait.

        Args:
            wait: Return only once files can be read.

        Raises:
            PluginUnavailable: The readers cannot be started (with ``wait`` only).
            RuntimeError: The pool is closed, or was made in another process before a fork.
        """
        self._require_usable()
        try:
            server = self._workers.server()
            if wait:
                server.await_ready()
        except StartFailed as error:
            raise cannot_start(error) from error

    def submit(
        self,
        path: Path,
        versions: Sequence[str] = (),
        *,
        identity: FileIdentity | None = None,
        adapter: str | None = None,
    ) -> Future[Reading]:
        """Queue one file.

        Args:
            path: The file; a relative one is taken from the working folder as it is now.
            versions: The feature versions to extract.

        Returns:
            A future that fails with a ``CadmlError`` only. It can be cancelled until a worker takes
            it; closing the pool cancels what is queued. The queue is unbounded: for many files use
            ``map``.

        Raises:
            RuntimeError: The pool is closed, or was made in another process before a fork.
        """
        future: Future[Reading] = Future()
        task = Task(
            path=os.fsencode(os.path.abspath(path)),  # noqa: PTH100
            versions=tuple(versions),
            identity=identity,
            adapter=adapter,
        )
        try:
            for name in versions:
                if name not in self._features:
                    feature_version(self._features, name)  # says what there is
        except CadmlError as error:
            future.set_exception(error)
            return future
        self._require_usable()
        with self._lock:
            self._require_usable()
            self._ensure_threads()
            self._queue.put((future, task))
        return future

    def read(
        self,
        path: Path,
        versions: Sequence[str] = (),
        *,
        identity: FileIdentity | None = None,
        adapter: str | None = None,
    ) -> Reading:
        """Read one file and wait for it.

        Raises:
            CadmlError: As ``read_file``, and PARSE_TIMEOUT, PARSE_CRASHED for the limits that only a
                process of its own can enforce.
        """
        return self.submit(path, versions, identity=identity, adapter=adapter).result()

    def map(
        self,
        paths: Iterable[Path],
        versions: Sequence[str] = (),
        *,
        adapters: Mapping[Path, str] | None = None,
    ) -> Iterator[tuple[Path, Reading | CadmlError]]:
        """Read many files; yields each with its reading or its error, in the order of completion.

        ``paths`` is consumed as fast as files are read, a few ahead of the workers, so it may be as
        long as it likes. What was begun is finished or cancelled when the iteration is abandoned.
        """
        pending: dict[Future[Reading], Path] = {}
        source = iter(paths)
        exhausted = False
        try:
            while True:
                while not exhausted and len(pending) < 2 * self.workers + 2:
                    path = next(source, None)
                    if path is None:
                        exhausted = True
                    else:
                        adapter = adapters[path] if adapters else None
                        pending[self.submit(path, versions, adapter=adapter)] = path
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(future), _outcome(future)
        finally:
            for future in pending:
                future.cancel()

    @property
    def statistics(self) -> PoolStatistics:
        """What the pool has done so far."""
        with self._lock:
            return PoolStatistics(
                workers=self.workers,
                alive=self._workers.alive,
                started=self._workers.started,
                server_pid=self._workers.server_pid,
                **self._counts,
            )

    def close(self) -> None:
        """End all reader processes and remove their temporary files; closing twice is allowed.

        Files that are still queued are cancelled; those being read fail.
        """
        if os.getpid() != self._owner:  # a forked copy: the processes belong to the original
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
        self._cancel_queued()
        for _ in threads:
            self._queue.put(None)
        self._workers.close()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _cancel_queued(self) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                item[0].cancel()
                item[0].set_running_or_notify_cancel()

    def _require_usable(self) -> None:
        if os.getpid() != self._owner:
            raise RuntimeError("this reader pool was made before a fork; make one in each process")
        if self._closed:
            raise RuntimeError("this reader pool is closed")

    def _ensure_threads(self) -> None:
        if self._threads:
            return
        for number in range(self.workers):
            name = f"cadml-reader-{number}"
            thread = threading.Thread(target=self._serve, args=(number,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int) -> None:
        """Take files from the queue and have them read, until the pool is closed. Runs in a thread."""
        while (item := self._queue.get()) is not None:
            future, task = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._recorded(number, task))
                # The caller waits on the future, so it must get every outcome.
                except BaseException as error:  # noqa: BLE001
                    future.set_exception(_as_cadml(error, task))
            del item, future, task
        self._workers.discard(number)

    def _recorded(self, number: int, task: Task) -> Reading:
        """Read a file; metrics and counts are recorded here and nowhere else."""
        try:
            reading = self._read(number, task)
        except CadmlError as error:
            self._count("refused")
            known = str(error.context.get("format", "unknown"))
            metrics.parse_failures_total.labels(format=known, code=error.code).inc()
            raise
        self._count("read")
        metrics.parse_latency_seconds.labels(format=reading.format).observe(reading.read_seconds)
        for version, seconds in reading.extract_seconds.items():
            metrics.feature_extraction_latency_seconds.labels(version=version).observe(seconds)
        return reading

    def _read(self, number: int, task: Task) -> Reading:
        try:
            answer = self._workers.ask(number, msgspec.msgpack.encode(task))
            if answer.retires:
                self._count("retired")
            if answer.body is not None:
                return _decoded(answer.body)
        except TimeLimitExceeded:
            self._count("timed_out")
            raise self._named(task, timeout(task, self.limits)) from None
        except WorkerDied as death:
            self._count("crashed")
            raise self._named(task, crash(task, death, self.limits)) from None
        except ProtocolError as error:
            self._workers.discard(number)
            self._count("crashed")
            raise self._named(task, protocol_error(task, error)) from None
        except StartFailed as error:
            raise cannot_start(error) from error
        except Closed as error:
            raise CadmlError("the reader pool was closed", stage="parse") from error
        if answer.failure is None:
            raise self._named(task, out_of_memory(task, self.limits))
        if answer.failure.traceback:
            log.warning("reading %s: %s", task.name, answer.failure.traceback)
        raise error_of(answer.failure)

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _named(self, task: Task, error: CadmlError) -> CadmlError:
        """Add the format, which the worker can no longer tell."""
        with contextlib.suppress(CadmlError):
            error.context["format"] = detect(Path(os.fsdecode(task.path)), self._formats).name
        return error


def _decoded(body: bytes) -> Reading:
    try:
        return _readings.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(str(error)) from error


def _outcome(future: Future[Reading]) -> Reading | CadmlError:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, CadmlError):
        return error
    raise error


def _as_cadml(error: BaseException, task: Task) -> CadmlError:
    if isinstance(error, CadmlError):
        return error
    log.error("reading %s failed in the host", task.name, exc_info=error)
    return CadmlError(f"reading {task.name} failed: {type(error).__name__}: {error}", stage="parse")
