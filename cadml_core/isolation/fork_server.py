"""A small process that prepares a program once and forks workers from that state.

It has one thread, so that forking is safe, and one event loop. The host holds two sockets for each
worker: the connection, on which the two talk, and the lifeline, which ends in the fork server. A lifeline
that the host closes, or that closes because the host died, kills the worker and every child it started; the
end of a worker is reported on its lifeline. When the host goes, the fork server ends all workers, removes
their temporary files and exits.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import selectors
import shutil
import signal
import socket
import traceback
from pathlib import Path

import msgspec

from cadml_core.isolation.limits import MAX_THREADS, Limits, MemoryUse
from cadml_core.isolation.program import Program
from cadml_core.isolation.protocol import EXIT, Ready, Start, message, receive
from cadml_core.isolation.sandbox.installation import installation
from cadml_core.isolation.scratch import hold
from cadml_core.isolation.worker import serve

READY_TIMEOUT = 120
"""Seconds to become ready: importing a CAD kernel from a cold disk takes long."""
LOOK_SECONDS = 0.1
"""How often the workers' threads are counted."""
FORK = b"F"
"""The request for a worker; the file descriptors of connection, lifeline and output come with it."""


def main(descriptor: int) -> None:
    """Run the fork server on its end of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(READY_TIMEOUT)  # ends a plugin that hangs while it is imported, if the host is gone too
    control = socket.socket(fileno=descriptor)
    body = receive(control.recv)
    if body is None:
        return
    start = msgspec.msgpack.decode(body, type=Start)
    folder = Path(os.fsdecode(start.folder))
    try:
        lock = hold(folder)
        program, warnings = _prepare(start.program)
    # Importing a plugin runs third-party code; the host is told whatever it raised, not left waiting.
    except BaseException as error:  # noqa: BLE001
        control.sendall(message(Ready(error=f"{type(error).__name__}: {error}")))
        return
    signal.alarm(0)
    try:
        control.sendall(message(Ready(warnings=warnings)))
        ForkServer(control, program, start.limits, folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _prepare(pickled: bytes) -> tuple[Program, tuple[str, ...]]:
    """Import everything that workers should find imported."""
    program: Program = pickle.loads(pickled)
    warnings = tuple(program.prepare())
    # A collection in a worker would write to every object, and so copy all memory that workers share.
    gc.collect()
    gc.freeze()
    return program, warnings


class ForkServer:
    """The event loop: fork on request, kill where a lifeline is closed, report workers that ended."""

    def __init__(self, control: socket.socket, program: Program, limits: Limits, folder: Path) -> None:
        self._control = control
        self._program = program
        self._limits = limits
        self._folder = folder
        self._resident = MemoryUse().private_resident()
        self._installed = installation()
        self._lifelines: dict[int, socket.socket] = {}
        """By the process id of the worker."""
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        """The second end is written to when a worker ends."""

    def run(self) -> None:
        """Serve until the host closes the control socket or dies."""
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to ``woken``
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(LOOK_SECONDS if self._lifelines else None):
                if key.fileobj is self._wake:
                    self._wake.recv(4096)
                    self._reap()
                elif key.fileobj is not self._control:
                    self._kill(key)
                elif not self._fork():
                    self._end_all()
                    return
            self._end_greedy()

    def _fork(self) -> bool:
        """Fork one worker; False where the host is gone."""
        try:
            request, descriptors, _, _ = socket.recv_fds(self._control, 1, 3)
        except OSError:
            return False
        if request != FORK or len(descriptors) != 3:
            return False
        connection, lifeline = (socket.socket(fileno=descriptor) for descriptor in descriptors[:2])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(connection, lifeline, descriptors[2], parent)
        connection.close()
        os.close(descriptors[2])
        self._lifelines[pid] = lifeline
        self._selector.register(lifeline, selectors.EVENT_READ, data=pid)
        return True

    def _become_worker(
        self, connection: socket.socket, lifeline: socket.socket, output: int, parent: int
    ) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for other in (self._control, self._wake, self._woken, lifeline, *self._lifelines.values()):
                other.close()
            folder = self._worker_folder(os.getpid())
            serve(connection, output, self._program, self._limits, self._installed, folder, parent)
        # Whatever went wrong is printed for the host; the fork server's own code must not go on in its child.
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(1)

    def _worker_folder(self, pid: int) -> Path:
        return self._folder / str(pid)

    def _kill(self, key: selectors.SelectorKey) -> None:
        """Kill the worker whose lifeline was closed, with its children; the rest is left to ``_reap``."""
        # Of the events of one ``select``, an earlier one may already have ended this worker.
        if self._lifelines.get(key.data) is key.fileobj:
            self._selector.unregister(key.fileobj)
            _kill_group(key.data)

    def _end_greedy(self) -> None:
        """Kill workers with so many threads that other processes of the machine would find none left.

        The kernel's own limit (RLIMIT_NPROC) counts all processes of the user, and does not hold for root.
        """
        for pid in self._lifelines:
            with contextlib.suppress(OSError):  # it has ended, or there is no /proc
                if os.stat(f"/proc/{pid}/task").st_nlink - 2 > MAX_THREADS:  # noqa: PTH116 (several a second)
                    _kill_group(pid)

    def _reap(self) -> None:
        """Report every worker that ended, and end what it left running.

        The group is killed while its leader is still a zombie: until it is reaped no other process can
        get its number.
        """
        while self._lifelines:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            _kill_group(ended.si_pid)
            _, status, usage = os.wait4(ended.si_pid, 0)
            grown = max(0, usage.ru_maxrss * 1024 - self._resident)
            self._report(ended.si_pid, status, grown)

    def _report(self, pid: int, status: int, grown: int) -> None:
        shutil.rmtree(self._worker_folder(pid), ignore_errors=True)
        lifeline = self._lifelines.pop(pid, None)
        if lifeline is None:  # not a worker: a plugin started it while it was imported
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(lifeline)
        with contextlib.suppress(OSError):
            lifeline.send(EXIT.pack(status, grown))
        lifeline.close()

    def _end_all(self) -> None:
        for pid in self._lifelines:
            _kill_group(pid)
        for pid in list(self._lifelines):
            os.waitpid(pid, 0)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # it may not lead its group yet
        os.kill(pid, signal.SIGKILL)
