"""The host's side of the launcher and of each worker: start them, talk to them, learn how they ended."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import PluginUnavailable
from cadml_core.isolation.fork_server import FORK, START_SECONDS
from cadml_core.isolation.protocol import EXIT, Answer, Frames, Ready, Start, Task, frame, receive
from cadml_core.isolation.scratch import Scratch
from cadml_core.settings import setting_specs

log = logging.getLogger(__name__)

END_SECONDS = 5.0
RETRY_SECONDS = 10.0
"""How long a failure to start is taken as the answer before another launcher is tried."""
LOG_TAIL = 4096
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from cadml_core.isolation.fork_server import main; main(int(sys.argv[1]))"
)
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""Threads of a numeric library would not survive the fork, and would contend with the other workers."""


_answers = msgspec.msgpack.Decoder(Answer)


class LauncherDied(Exception):
    """The launcher ended, and with it all workers; no file is to blame."""

    def __init__(self, launcher: LauncherProcess) -> None:
        super().__init__(f"process {launcher.pid}")
        self.launcher = launcher


class WorkerDied(Exception):
    """The worker ended before it answered."""

    def __init__(self, status: int, grown: int, said: str) -> None:
        super().__init__(f"wait status {status}")
        self.exit_code = os.waitstatus_to_exitcode(status)
        """As in ``subprocess``: negative for a signal."""
        self.grown = grown
        """By how many bytes its memory had grown at its peak."""
        self.said = said
        """The end of what it printed."""


class NeverBegan(Exception):
    """The worker was dead before it took the task; the file is not to blame."""


class Nonsense(Exception):
    """The worker sent what is no answer."""


class OutOfTime(Exception):
    """The worker did not answer in time."""


class WorkerProcess:
    """One worker: a socket to talk, a leash to end it and to learn of its end, a log of what it prints."""

    def __init__(
        self, launcher: LauncherProcess, connection: socket.socket, leash: socket.socket, output: BinaryIO
    ) -> None:
        self._launcher = launcher
        self._connection = connection
        self._leash = leash
        self._output = output
        self._events = select.poll()
        for held in (connection, leash):
            self._events.register(held, select.POLLIN)

    def ask(self, task: Task, seconds: float) -> Answer:
        """Have one file read.

        Raises:
            OutOfTime: There was no answer after ``seconds``.
            NeverBegan: The worker had ended before it took the task.
            WorkerDied: The worker ended.
            Nonsense: The worker answered what is no answer.
            LauncherDied: The launcher ended.
        """
        deadline = time.monotonic() + seconds
        try:
            self._connection.settimeout(seconds)
            self._connection.sendall(frame(task))
            return _answers.decode(self._receive(deadline))
        except TimeoutError:
            raise OutOfTime from None
        except (BrokenPipeError, ConnectionResetError):  # closed with the task unread
            raise self._innocent() from None
        except (OSError, EOFError):
            raise self._obituary() from None
        except ValueError as error:
            raise Nonsense(str(error)) from error

    def close(self) -> None:
        """End the worker and every child it started; returns at once."""
        for held in (self._connection, self._leash, self._output):
            held.close()

    def _receive(self, deadline: float) -> bytes:
        frames = Frames()
        while True:
            ready = self._events.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise TimeoutError
            if self._connection.fileno() not in dict(ready):  # it ended; a child may hold the connection
                raise EOFError
            chunk = self._connection.recv(65536)
            if not chunk:
                raise EOFError
            if (body := frames.feed(chunk)) is not None:
                return body

    def _innocent(self) -> Exception:
        died = self._obituary()
        return NeverBegan(died.said) if isinstance(died, WorkerDied) else died

    def _obituary(self) -> Exception:
        """Return how the worker ended, as the launcher reports it."""
        self._leash.settimeout(END_SECONDS)
        try:
            report = self._leash.recv(EXIT.size)
        except OSError:
            report = b""
        if len(report) != EXIT.size:
            return LauncherDied(self._launcher)
        status, grown = EXIT.unpack(report)
        return WorkerDied(status, grown, tail(self._output))


class LauncherProcess:
    """The launcher as the host sees it. Starting it returns at once; ``fork`` waits until it is ready."""

    def __init__(self, readers: bytes, limits: ReadLimits) -> None:
        self._scratch = Scratch()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._lock = threading.Lock()
        self._ready: Ready | None = None
        self._greeted = 0.0
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = self._spawn(theirs.fileno())
        self._control.settimeout(START_SECONDS)
        start = Start(readers=readers, limits=limits, folder=os.fsencode(self._scratch.path))
        with contextlib.suppress(OSError):  # if it is already gone, the wait for its answer says why
            self._control.sendall(frame(start))

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        search = [entry or str(Path.cwd()) for entry in sys.path]
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, str(descriptor), *search],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=[descriptor],
            start_new_session=True,
            env=_environment(self._scratch.path),
        )

    @property
    def pid(self) -> int:
        """The launcher's process id; its workers are its children."""
        return self._process.pid

    @property
    def hopeless(self) -> bool:
        """True where it could not start, long enough ago that another may."""
        failed = self._ready is not None and bool(self._ready.error)
        return failed and time.monotonic() - self._greeted > RETRY_SECONDS

    def await_ready(self) -> None:
        """Wait until workers can be forked.

        Raises:
            PluginUnavailable: They cannot; the message says why.
        """
        with self._lock:
            if self._ready is None:
                self._greet()
        if self._ready is not None and self._ready.error:
            reason = self._ready.error
            raise PluginUnavailable(f"the reader processes cannot start: {reason}", reason=reason)

    def fork(self) -> WorkerProcess:
        """Return a new worker.

        Raises:
            LauncherDied: It ended after it had been ready.
            PluginUnavailable: It cannot become ready; the message says why.
        """
        self.await_ready()
        with self._lock:
            connection, their_connection = socket.socketpair()
            leash, their_leash = socket.socketpair()
            output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
            worker = WorkerProcess(self, connection, leash, output)
            try:
                with their_connection, their_leash:
                    descriptors = [their_connection.fileno(), their_leash.fileno(), output.fileno()]
                    socket.send_fds(self._control, [FORK], descriptors)
            except OSError as error:
                worker.close()
                raise LauncherDied(self) from error
            return worker

    def close(self) -> None:
        """End the launcher, all its workers and their temporary files; waits until they are gone."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for the launcher
        self._control.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.remove()
        self._output.close()

    def _greet(self) -> None:
        """Hear whether the launcher is ready, once."""
        try:
            body = receive(self._control.recv)
            ready = msgspec.msgpack.decode(body, type=Ready) if body else Ready(error=self._last_words())
        except TimeoutError:
            ready = Ready(error=f"not ready after {START_SECONDS} s")
        except OSError:
            ready = Ready(error=self._last_words())
        for warning in ready.warnings:
            log.warning("%s", warning)
        self._ready, self._greeted = ready, time.monotonic()

    def _last_words(self) -> str:
        return tail(self._output) or "it ended at once"


def _environment(temporary: Path) -> dict[str, str]:
    """Return the readers' environment: the host's without its secrets, which no reader needs."""
    secrets = {"API_KEY", *(spec.env for spec in setting_specs() if spec.secret)}
    kept = {name: value for name, value in os.environ.items() if name not in secrets}
    return {**kept, **_ONE_THREAD, "TMPDIR": str(temporary)}


def tail(file: BinaryIO) -> str:
    """Return the last lines of what a process printed."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LOG_TAIL))
    return file.read().decode("utf-8", "replace").strip("\0 \n")
