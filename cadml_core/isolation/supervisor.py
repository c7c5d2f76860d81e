"""The processes of a pool: one launcher and one worker for each thread, started and replaced as needed."""

from __future__ import annotations

import logging
import threading

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import CadmlError, PluginUnavailable
from cadml_core.isolation.failures import cannot_start
from cadml_core.isolation.processes import (
    LauncherDied,
    LauncherProcess,
    NeverBegan,
    Nonsense,
    OutOfTime,
    WorkerDied,
    WorkerProcess,
)
from cadml_core.isolation.protocol import Answer, Task

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a file is given to a new process while processes end that had not begun with it."""


class Crew:
    """Workers by number. A number is used by one thread at a time."""

    def __init__(self, readers: bytes, limits: ReadLimits) -> None:
        self._readers = readers
        self._limits = limits
        self._lock = threading.Lock()
        self._launcher: LauncherProcess | None = None
        self._workers: dict[int, WorkerProcess] = {}
        self._closed = False
        self.started = 0
        """How many workers were ever started."""

    @property
    def alive(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def launcher_pid(self) -> int | None:
        """The launcher's process id, None where there is none yet."""
        launcher = self._launcher
        return launcher.pid if launcher else None

    def launcher(self) -> LauncherProcess:
        """Return the launcher, started if need be; it may not be ready yet.

        Raises:
            PluginUnavailable: The operating system gives no process.
        """
        with self._lock:
            if self._closed:
                raise CadmlError("the reader pool was closed", stage="parse")
            if self._launcher is not None and self._launcher.hopeless:
                self._launcher.close()
                self._launcher = None
            if self._launcher is None:
                try:
                    self._launcher = LauncherProcess(self._readers, self._limits)
                except OSError as error:
                    raise cannot_start(error) from error
            return self._launcher

    def ask(self, number: int, task: Task) -> Answer:
        """Have a worker read a file; another one where it ended before it began with it.

        Raises:
            OutOfTime: It took too long; the worker is ended.
            WorkerDied: The worker died of it.
            Nonsense: It answered what is no answer; the worker is ended.
            PluginUnavailable: No worker can be started.
        """
        for _ in range(ATTEMPTS):
            try:
                answer = self._worker(number).ask(task, self._limits.max_seconds)
            except NeverBegan as error:
                died: Exception = error
                self.discard(number)
            except LauncherDied as error:
                died = error
                log.warning("the launcher of the reader processes ended; starting another")
                self._replace(number, error.launcher)
            except (OutOfTime, WorkerDied, Nonsense):
                self.discard(number)
                raise
            else:
                if answer.retires:
                    self.discard(number)
                return answer
        raise PluginUnavailable(
            f"the reader processes end before they begin: {died}", reason=str(died)
        ) from died

    def discard(self, number: int) -> None:
        """End a worker, if there is one."""
        with self._lock:
            worker = self._workers.pop(number, None)
        if worker is not None:
            worker.close()

    def close(self) -> None:
        """End all processes; waits until they are gone."""
        with self._lock:
            self._closed = True
            launcher, self._launcher = self._launcher, None
        if launcher is not None:
            launcher.close()

    def _worker(self, number: int) -> WorkerProcess:
        if worker := self._workers.get(number):
            return worker
        try:
            worker = self.launcher().fork()
        except OSError as error:
            raise cannot_start(error) from error
        with self._lock:
            self._workers[number] = worker
            self.started += 1
        return worker

    def _replace(self, number: int, dead: LauncherProcess) -> None:
        """Forget a dead launcher, unless another thread has already replaced it."""
        self.discard(number)
        with self._lock:
            if self._launcher is not dead:
                return
            self._launcher = None
        dead.close()
