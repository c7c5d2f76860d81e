"""Workers that are started and replaced as needed, and a queue of jobs for them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TypeVar

import msgspec

from cadml_core.isolation.ends import (
    Closed,
    ProtocolError,
    RequestNotTaken,
    StartFailed,
    TimeLimitExceeded,
    WorkerDied,
)
from cadml_core.isolation.lanes import Lanes, PutBack
from cadml_core.isolation.processes import ForkServerDied, ForkServerProcess, WorkerProcess, WorkerSpec
from cadml_core.isolation.protocol import Answer
from cadml_core.isolation.turns import Waiting

log = logging.getLogger(__name__)

_RELIEF_SECONDS = 0.05
_NICENESS = 10
ATTEMPTS = 3
"""How often a request is given to a new worker while workers end that had not begun with it."""
MAX_READABLE = 64
"""Most paths that are readable at once; with one more, new workers lose those before."""

Result = TypeVar("Result")


class Workers:
    """One fork server, and workers by number. Each number is used by one thread at a time.

    Args:
        spec: What they do, may take and can see.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._server: ForkServerProcess | None = None
        self._workers: dict[int, WorkerProcess] = {}
        self._closed = False
        self._readable: frozenset[str] = frozenset()
        self.started = 0
        """How many workers were ever started."""

    @property
    def alive(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def server_pid(self) -> int | None:
        """The fork server's process id, None where there is none yet."""
        server = self._server
        return server.pid if server else None

    def server(self) -> ForkServerProcess:
        """Return the fork server, started if need be; it may not be ready yet.

        Raises:
            Closed: These workers were closed.
            StartFailed: The operating system gives no process.
        """
        with self._lock:
            if self._closed:
                raise Closed("the workers were closed")
            if self._server is not None and self._server.is_due_for_retry:
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = ForkServerProcess(self._spec)
            return self._server

    def step_back(self) -> None:
        """Let the host go first where both want the processor; before the first worker."""
        limits = msgspec.structs.replace(self._spec.limits, niceness=_NICENESS)
        self._spec = msgspec.structs.replace(self._spec, limits=limits)

    def allow_reading(self, path: str) -> None:
        """Let workers that are started from now on read a file, or a folder with everything in it.

        Args:
            path: Absolute, without links.
        """
        with self._lock:
            if not _covers(self._readable, path):
                kept = self._readable if len(self._readable) < MAX_READABLE else frozenset()
                self._readable = kept | {path}

    def ask(
        self, number: int, request: bytes, *, reads: str | None = None, seconds: float | None = None
    ) -> Answer:
        """Have a worker answer a request; another one where it had ended before it took it.

        A confined process cannot get a right back, so one that may not read what the request names is
        replaced.

        Args:
            number: Which worker.
            request: For its program.
            reads: A file that it must be able to read; absolute, without links.
            seconds: The longest wait; that of the limits where None.

        Raises:
            TimeLimitExceeded: There was no answer in time; the worker is killed.
            WorkerDied: The worker ended while it worked on the request.
            ProtocolError: It sent something that is not an answer; it is killed.
            StartFailed: No worker can be started.
            Closed: These workers were closed, perhaps meanwhile.
        """
        for _ in range(ATTEMPTS):
            try:
                answer = self._worker(number, reads).ask(request, seconds)
            except RequestNotTaken as error:
                reason = str(error)
                self.discard(number)
            except ForkServerDied as error:
                reason = str(error)
                if not self._closed:
                    log.warning("the fork server of the workers ended; starting another")
                self._replace(number, error.server)
            except (TimeLimitExceeded, WorkerDied, ProtocolError):
                self.discard(number)
                raise
            else:
                if answer.retires:
                    self.discard(number)
                return answer
        raise StartFailed(f"workers end before they take a request: {reason}")

    def discard(self, number: int) -> None:
        """Kill a worker, if there is one, with every child it started."""
        with self._lock:
            worker = self._workers.pop(number, None)
        if worker is not None:
            worker.close()

    def end(self, number: int) -> None:
        """Kill a worker, if there is one, while a thread waits for its answer, which gets ``WorkerDied``."""
        with self._lock:
            worker = self._workers.get(number)
        if worker is not None:
            worker.end()

    def close(self) -> None:
        """End all processes; waits until they are gone."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _worker(self, number: int, reads: str | None) -> WorkerProcess:
        if worker := self._workers.get(number):
            if reads is None or _covers(worker.readable, reads):
                return worker
            self.discard(number)
        readable = self._readable
        if reads is not None and not _covers(readable, reads):
            self.allow_reading(reads)
            readable |= {reads}
        worker = self.server().fork(readable)
        with self._lock:
            self._workers[number] = worker
            self.started += 1
        return worker

    def _replace(self, number: int, ended: ForkServerProcess) -> None:
        """Forget a fork server that ended, unless another thread has replaced it already."""
        self.discard(number)
        with self._lock:
            if self._server is not ended:
                return
            self._server = None
        ended.close()


def _covers(readable: frozenset[str], path: str) -> bool:
    return any(path == known or path.startswith(known + os.sep) for known in readable)


class OwnWorker:
    """The worker of one thread of a pool."""

    def __init__(self, workers: Workers, number: int, lanes: Lanes) -> None:
        self._workers = workers
        self._number = number
        self._lanes = lanes

    def ask(self, request: bytes, *, reads: str | None = None, seconds: float | None = None) -> Answer:
        """Have it answer a request, as ``Workers.ask``.

        Raises:
            PutBack: It was taken away, for others that wait.
        """
        try:
            return self._workers.ask(self._number, request, reads=reads, seconds=seconds)
        except WorkerDied:
            if self._lanes.is_put_back(self._number):
                raise PutBack from None
            raise

    def discard(self) -> None:
        """Kill it, if there is one; the next request gets a new one."""
        self._workers.discard(self._number)


class WorkerPool:
    """A queue of jobs and the threads that work through it; each thread owns one worker process.

    A process that dies, hangs or grows so affects only the job of its thread. Threads start with the first
    job, processes with the first request. Thread-safe.

    Args:
        spec: What the worker processes do, may take and can see.
        workers: How many jobs run at the same time; at least 1.
        name: What it is called, with a number, in a debugger's list of threads.
    """

    def __init__(self, spec: WorkerSpec, *, workers: int, name: str) -> None:
        self.processes = Workers(spec)
        self.size = max(1, workers)
        self._name = name
        self._lanes = Lanes(self.size)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._owner = os.getpid()

    def submit(self, job: Callable[[OwnWorker], Result], kind: Hashable = None) -> Future[Result]:
        """Queue a job, which is called with the worker of the thread that takes it.

        Args:
            job: What to do.
            kind: What it has in common with others that take about as long.

        Returns:
            Its result or exception. It can be cancelled until a thread takes it; closing cancels what is
            queued.

        Raises:
            RuntimeError: The pool is closed, or was made in another process before a fork.
        """
        future: Future[Result] = Future()
        self.require_usable()  # before the lock, which in a forked process nobody may be left to release
        with self._lock:
            self.require_usable()
            self._ensure_threads()
            self._lanes.put(Waiting(future, job, kind))
        return future

    def share(self, quick_seconds: float) -> None:
        """Let no job that takes longer keep others waiting, nor the host; before the first. See ``Lanes``."""
        self._lanes.quick_seconds = quick_seconds
        self.processes.step_back()

    def require_usable(self) -> None:
        """Raise RuntimeError where the pool is closed, or was made in another process before a fork."""
        if os.getpid() != self._owner:
            raise RuntimeError("this pool was made before a fork; make one in each process")
        if self._closed:
            raise RuntimeError("this pool is closed")

    def close(self) -> None:
        """Cancel what is queued and end all processes, so that what runs fails. Closing twice is allowed."""
        if os.getpid() != self._owner:  # a forked copy: the processes belong to the original
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
        for future, _, _ in self._lanes.close():
            if not future.cancel():  # it was running before it was put back
                future.set_exception(RuntimeError("the pool was closed"))
            else:
                future.set_running_or_notify_cancel()
        self.processes.close()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def _ensure_threads(self) -> None:
        if self._threads:
            return
        if self._lanes.quick_seconds is not None:
            relief = threading.Thread(target=self._relieve, name=f"{self._name}-lanes", daemon=True)
            relief.start()
        for number in range(self._lanes.threads):
            name = f"{self._name}-{number}"
            thread = threading.Thread(target=self._serve, args=(number,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int) -> None:
        """Run one job after the other, until the pool is closed."""
        worker = OwnWorker(self.processes, number, self._lanes)
        while (waiting := self._lanes.take(number)) is not None:
            future, job, _ = waiting
            if not (future.running() or future.set_running_or_notify_cancel()):
                self._lanes.done(number)
                continue
            try:
                future.set_result(job(worker))
                self._lanes.done(number)
            except PutBack:
                self._lanes.wait_again(number)
                continue
            # The caller waits on the future, so it must get every outcome.
            except BaseException as error:  # noqa: BLE001
                future.set_exception(error)
                self._lanes.done(number, failed=True)
            del waiting, future, job  # or the last result would be kept until the next job comes
        worker.discard()

    def _relieve(self) -> None:
        while not self._closed:
            time.sleep(_RELIEF_SECONDS)
            self._lanes.relieve(self.processes.end)
