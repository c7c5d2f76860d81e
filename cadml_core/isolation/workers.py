"""The processes of a pool: one fork server, and workers by number, started and replaced as needed."""

from __future__ import annotations

import logging
import threading

from cadml_core.isolation.processes import (
    Closed,
    ForkServerDied,
    ForkServerProcess,
    ProtocolError,
    RequestNotTaken,
    StartFailed,
    TimeLimitExceeded,
    WorkerDied,
    WorkerProcess,
    WorkerSpec,
)
from cadml_core.isolation.protocol import Answer

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a request is given to a new worker while workers end that had not begun with it."""


class Workers:
    """Workers of one kind. Each number is used by one thread at a time.

    Args:
        spec: What they do, may take and can see.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._server: ForkServerProcess | None = None
        self._workers: dict[int, WorkerProcess] = {}
        self._closed = False
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

    def ask(self, number: int, request: bytes) -> Answer:
        """Have a worker answer a request; another one where it had ended before it took it.

        Raises:
            TimeLimitExceeded: There was no answer in time; the worker is killed.
            WorkerDied: The worker ended while it worked on the request.
            ProtocolError: It sent something that is not an answer; it is killed.
            StartFailed: No worker can be started.
            Closed: These workers were closed, perhaps meanwhile.
        """
        for _ in range(ATTEMPTS):
            try:
                answer = self._worker(number).ask(request)
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

    def close(self) -> None:
        """End all processes; waits until they are gone."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _worker(self, number: int) -> WorkerProcess:
        if worker := self._workers.get(number):
            return worker
        worker = self.server().fork()
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
