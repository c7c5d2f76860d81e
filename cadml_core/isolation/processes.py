"""The host's side of a fork server and of each worker: start them, talk to them, learn how they ended."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from cadml_core.isolation.ends import (
    ProtocolError,
    RequestNotTaken,
    SandboxError,
    StartFailed,
    TimeLimitExceeded,
    WorkerDied,
)
from cadml_core.isolation.fork_server import FORK, READY_TIMEOUT
from cadml_core.isolation.limits import Limits
from cadml_core.isolation.program import Program
from cadml_core.isolation.protocol import (
    EXIT,
    Answer,
    Frames,
    Ready,
    Start,
    decoded,
    frame,
    grant,
    message,
    receive,
)
from cadml_core.isolation.scratch import PREFIX

log = logging.getLogger(__name__)

END_TIMEOUT = 5.0
RETRY_SECONDS = 10.0
"""How long the reason of a failed start is repeated before another fork server is tried."""
OUTPUT_TAIL = 4096
# -B: a worker may write files of a limited size only, and Python would leave truncated bytecode behind.
_INTERPRETER = (sys.executable, "-P", "-B", "-c")
_MAIN = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from cadml_core.isolation.fork_server import main; main(int(sys.argv[1]))"
)
_ADDED_ENVIRONMENT = {
    # Threads of a numeric library would not survive the fork, and would contend with the other workers.
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    ),
    "PYTHONDONTWRITEBYTECODE": "1",  # for Python processes that a worker starts
    "JOBLIB_MULTIPROCESSING": "0",  # a worker may start no process
}
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "CASROOT")
"""What libraries need to be found, and nothing else of the host's environment."""


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers of one fork server do, may take and can see."""

    program: Program
    limits: Limits
    keeps_output: bool = True
    """What a worker prints is kept until its next request, for ``WorkerDied.output``; else thrown away."""


class ForkServerDied(SandboxError):
    """The fork server ended, and with it all workers; no request is the cause."""

    def __init__(self, server: ForkServerProcess) -> None:
        super().__init__(f"the fork server (process {server.pid}) ended")
        self.server = server


class WorkerProcess:
    """One worker: a connection to talk, a lifeline to end it and to learn of its end, and its output."""

    def __init__(
        self,
        server: ForkServerProcess,
        connection: socket.socket,
        lifeline: socket.socket,
        output: BinaryIO,
        limits: Limits,
        readable: frozenset[str],
    ) -> None:
        self.readable = readable
        """What it may read, besides the Python installation."""
        self._server = server
        self._connection = connection
        self._lifeline = lifeline
        self._output = output
        self._limits = limits
        self._events = select.poll()
        for held in (connection, lifeline):
            self._events.register(held, select.POLLIN)

    def ask(self, request: bytes, seconds: float | None = None) -> Answer:
        """Send a request and wait for its answer.

        Args:
            request: For the program.
            seconds: The longest wait; that of the limits where None.

        Raises:
            TimeLimitExceeded: There was no answer in time; the worker still runs.
            RequestNotTaken: The worker had ended before it took the request.
            WorkerDied: The worker ended.
            ProtocolError: It sent something that is not an answer.
            ForkServerDied: The fork server ended.
        """
        seconds = self._limits.seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        try:
            self._connection.settimeout(seconds)
            self._connection.sendall(frame(request))
            return decoded(self._receive(deadline))
        except TimeoutError:
            raise TimeLimitExceeded(f"no answer after {seconds:g} s", _tail(self._output)) from None
        except (BrokenPipeError, ConnectionResetError):  # closed with the request unread
            raise self._not_taken() from None
        except (OSError, EOFError):
            raise self._end() from None
        except ValueError as error:
            raise ProtocolError(str(error)) from error

    def close(self) -> None:
        """End the worker and every child it started; returns at once."""
        for held in (self._connection, self._lifeline, self._output):
            held.close()

    def end(self) -> None:
        """End it while another thread waits for its answer, which gets ``WorkerDied``."""
        with contextlib.suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_WR)

    def _receive(self, deadline: float) -> bytes:
        frames = Frames(self._limits.answer_size)
        while True:
            ready = self._events.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise TimeoutError
            # Its children may keep the connection open when it has ended; the lifeline tells for sure.
            if self._connection.fileno() not in dict(ready):
                raise EOFError
            chunk = self._connection.recv(65536)
            if not chunk:
                raise EOFError
            if (body := frames.feed(chunk)) is not None:
                return body

    def _not_taken(self) -> SandboxError:
        end = self._end()
        return RequestNotTaken(end.output) if isinstance(end, WorkerDied) else end

    def _end(self) -> SandboxError:
        """Return how the worker ended, as the fork server reports it."""
        self._lifeline.settimeout(END_TIMEOUT)
        try:
            report = self._lifeline.recv(EXIT.size)
        except OSError:
            report = b""
        if len(report) != EXIT.size:
            return ForkServerDied(self._server)
        status, grown = EXIT.unpack(report)
        return WorkerDied(status, grown, _tail(self._output))


class ForkServerProcess:
    """The fork server as the host sees it. Starting it returns at once; ``fork`` waits until it is ready.

    Args:
        spec: What its workers do, may take and can see.

    Raises:
        StartFailed: The operating system gives no process, socket or temporary file.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._ready: Ready | None = None
        self._ready_at = 0.0
        start = pickle.dumps(spec.program)
        with contextlib.ExitStack() as undo, _os_errors_explained():
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._output = undo.enter_context(tempfile.TemporaryFile())
            self._control, theirs = socket.socketpair()
            undo.enter_context(self._control)
            with theirs:
                self._process = self._spawn(theirs.fileno())
            undo.pop_all()
        self._control.settimeout(READY_TIMEOUT)
        body = Start(program=start, limits=spec.limits, folder=os.fsencode(self._folder))
        with contextlib.suppress(OSError):  # if it is already gone, the wait for its answer says why
            self._control.sendall(message(body))

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*_INTERPRETER, _MAIN, str(descriptor), *_import_path()],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=[descriptor],
            start_new_session=True,
            cwd=os.sep,
            env=_environment() | {"TMPDIR": str(self._folder), "HOME": str(self._folder)},
        )

    @property
    def pid(self) -> int:
        """Its process id; its workers are its children."""
        return self._process.pid

    @property
    def is_due_for_retry(self) -> bool:
        """True where its start failed, long enough ago that another one may be tried."""
        failed = self._ready is not None and bool(self._ready.error)
        return failed and time.monotonic() - self._ready_at > RETRY_SECONDS

    def await_ready(self) -> None:
        """Wait until workers can be forked.

        Raises:
            StartFailed: They cannot; the message says why.
        """
        with self._lock:
            if self._ready is None:
                self._ready = self._receive_ready()
                self._ready_at = time.monotonic()
                for warning in self._ready.warnings:
                    log.warning("%s", warning)
        if self._ready.error:
            raise StartFailed(self._ready.error)

    def fork(self, readable: frozenset[str] = frozenset()) -> WorkerProcess:
        """Return a new worker.

        Args:
            readable: Files and folders that it may read, by their real paths.

        Raises:
            ForkServerDied: It ended after it had been ready.
            StartFailed: It cannot become ready, or the operating system gives no socket or temporary file.
        """
        self.await_ready()
        with self._lock, contextlib.ExitStack() as undo, _os_errors_explained():
            connection, their_connection = socket.socketpair()
            undo.callback(connection.close)
            with their_connection:
                lifeline, their_lifeline = socket.socketpair()
                undo.callback(lifeline.close)
                with their_lifeline:
                    output = self._worker_output()
                    undo.callback(output.close)
                    descriptors = [their_connection.fileno(), their_lifeline.fileno(), output.fileno()]
                    try:
                        socket.send_fds(self._control, [FORK], descriptors)
                    except OSError as error:
                        raise ForkServerDied(self) from error
            with contextlib.suppress(OSError):  # if it is already gone, the first request finds out
                connection.sendall(grant(readable))
            undo.pop_all()
            return WorkerProcess(self, connection, lifeline, output, self._spec.limits, readable)

    def close(self) -> None:
        """End the fork server, all its workers and their temporary files; waits until they are gone."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for the fork server
        self._control.close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._output.close()

    def _receive_ready(self) -> Ready:
        try:
            body = receive(self._control.recv)
        except TimeoutError:
            return Ready(error=f"not ready after {READY_TIMEOUT} s")
        except OSError:
            body = None
        if body is None:
            return Ready(error=_tail(self._output) or "the fork server ended at once")
        return msgspec.msgpack.decode(body, type=Ready)

    def _worker_output(self) -> BinaryIO:
        if self._spec.keeps_output:
            return tempfile.TemporaryFile()
        return open(os.devnull, "w+b", buffering=0)  # noqa: PTH123 (lives as long as the worker)


@contextlib.contextmanager
def _os_errors_explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartFailed(
            f"{error}; they need a temporary folder with space (TMPDIR), and a few open files for each worker"
            " (ulimit -n)"
        ) from error


def _import_path() -> list[str]:
    """Return where the host imports from; the fork server has another working folder."""
    return [os.path.abspath(entry) if os.path.exists(entry or ".") else entry for entry in sys.path]  # noqa: PTH100, PTH110 (not every entry is a path)


def _environment() -> dict[str, str]:
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **found, **_ADDED_ENVIRONMENT}


def _tail(file: BinaryIO) -> str:
    """Return the last lines of what a process printed."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OUTPUT_TAIL))
    return file.read().decode("utf-8", "replace").strip("\0 \n")
