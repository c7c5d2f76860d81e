"""A small process that imports every reader once and forks workers from that state.

It has one thread, so that forking is safe, and one event loop. The host holds two sockets for each
worker: one to talk to it, one ("the leash") that ends in the launcher. A leash that the host closes,
or that closes because the host died, kills the worker and every child it started; a worker that ends
is reported on its leash. When the host goes, the launcher ends all workers, removes their temporary
files and goes too.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import selectors
import shutil
import signal
import socket
import traceback
from pathlib import Path

import msgspec

from cadml_core.isolation.confinement import private_resident
from cadml_core.isolation.protocol import EXIT, Ready, Start, frame, receive
from cadml_core.isolation.worker import Readers, serve

START_SECONDS = 120
"""Longest time to become ready: a CAD kernel on a cold disk takes its time."""
FORK = b"F"
"""The request for a worker; the file descriptors of connection, leash and log come with it."""


def main(descriptor: int) -> None:
    """Run the launcher on its end of the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(START_SECONDS)  # ends a plugin that hangs while it is imported, if the host is gone too
    control = socket.socket(fileno=descriptor)
    body = receive(control.recv)
    if body is None:
        return
    start = msgspec.msgpack.decode(body, type=Start)
    folder = Path(os.fsdecode(start.folder))
    try:
        readers, warnings = _prepare(start.readers)
    # Importing a stranger's plugin may raise anything; the host is told, not left waiting.
    except BaseException as error:  # noqa: BLE001
        control.sendall(frame(Ready(error=f"{type(error).__name__}: {error}")))
        return
    signal.alarm(0)
    control.sendall(frame(Ready(warnings=tuple(warnings))))
    try:
        Launcher(control, readers, start, folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(pickled: bytes) -> tuple[Readers, list[str]]:
    """Import everything that workers should find already imported."""
    readers = Readers(*pickle.loads(pickled))
    warnings = []
    for adapter in readers.formats.values():
        for module in getattr(adapter, "preload", ()):
            try:
                importlib.import_module(module)
            # Reading will say what is missing, for the files that need it.
            except Exception as error:  # noqa: BLE001
                warnings.append(f"{adapter.name}: cannot preload {module}: {type(error).__name__}: {error}")
    gc.collect()
    gc.freeze()
    return readers, warnings


class Launcher:
    """The event loop: fork on request, kill on a closed leash, report the dead."""

    def __init__(self, control: socket.socket, readers: Readers, start: Start, folder: Path) -> None:
        self._control = control
        self._readers = readers
        self._limits = start.limits
        self._folder = folder
        self._resident = private_resident()
        self._leashes: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until the host closes the control socket or dies."""
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is wake:
                    wake.recv(4096)
                    self._reap()
                elif key.fileobj is not self._control:
                    self._end(key)
                elif not self._fork():
                    self._end_all()
                    return

    def _fork(self) -> bool:
        """Fork one worker; False where the host is gone."""
        try:
            request, descriptors, _, _ = socket.recv_fds(self._control, 1, 3)
        except OSError:
            return False
        if request != FORK or len(descriptors) != 3:
            return False
        connection, leash = (socket.socket(fileno=descriptor) for descriptor in descriptors[:2])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(connection, leash, descriptors[2], parent)
        connection.close()
        os.close(descriptors[2])
        self._leashes[pid] = leash
        self._selector.register(leash, selectors.EVENT_READ, data=pid)
        return True

    def _become_worker(self, connection: socket.socket, leash: socket.socket, log: int, parent: int) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for other in (self._control, leash, *self._leashes.values()):
                other.close()
            serve(connection, log, self._readers, self._limits, self._worker_folder(os.getpid()), parent)
        # The host finds it in the log; nothing of the launcher may go on in its child.
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(1)

    def _worker_folder(self, pid: int) -> Path:
        return self._folder / str(pid)

    def _end(self, key: selectors.SelectorKey) -> None:
        """Kill the worker whose leash was closed, with its children; the rest is left to ``_reap``."""
        if self._leashes.get(key.data) is key.fileobj:
            self._selector.unregister(key.fileobj)
            _kill_group(key.data)

    def _reap(self) -> None:
        """Report every worker that ended, and end what it left running.

        The group is killed while its leader is still a zombie: until it is reaped nobody else can
        get its number.
        """
        while self._leashes:
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
        leash = self._leashes.pop(pid, None)
        if leash is None:  # not a worker: a plugin started it while it was imported
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(leash)
        with contextlib.suppress(OSError):
            leash.send(EXIT.pack(status, grown))
        leash.close()

    def _end_all(self) -> None:
        for pid in self._leashes:
            _kill_group(pid)
        for pid in list(self._leashes):
            os.waitpid(pid, 0)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
