"""Find out which rights a confined process has really lost here, by having one try to use them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cadml_core.isolation.ends import SandboxError
from cadml_core.isolation.limits import Limits
from cadml_core.isolation.processes import ForkServerProcess, WorkerSpec
from cadml_core.isolation.sandbox import landlock, privileges, seccomp
from cadml_core.isolation.sandbox.libc import LINUX

_SECONDS = 10.0
_MAX_ANSWER = 4096


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One right that confined processes should not have."""

    name: str
    active: bool
    """True where one tried to use it and could not."""
    means: str
    """The right, in words."""
    detail: str
    """What takes it away; or why it is still there."""


class InspectionProgram:
    """Tries what it should not be able to; the program of a confined process."""

    def prepare(self) -> Sequence[str]:
        """Nothing is needed."""
        return ()

    def answer(self, request: bytes) -> bytes:
        """Return the names of the rights that it lost.

        Args:
            request: Path of a file that it was not asked to read, and the process id of the host.
        """
        path, host = msgspec.msgpack.decode(request, type=tuple[str, int])
        deeds: dict[str, Callable[[], Any]] = {
            "files": lambda: Path(path).read_bytes(),
            "writing": lambda: Path(path).write_bytes(b"x"),
            "attributes": lambda: Path(path).chmod(0o600),
            "network": lambda: socket.socket().close(),
            "processes": _start_process,
            "signals": lambda: os.kill(host, 0),
            "parent": lambda: Path(f"/proc/{host}/environ").read_bytes(),
            "system_calls": _reshape,
        }
        lost = [name for name, deed in deeds.items() if _is_refused(deed)]
        if privileges.given_up():
            lost.append("privileges")
        return msgspec.msgpack.encode(lost)


def _is_refused(deed: Callable[[], Any]) -> bool:
    try:
        deed()
    except OSError:
        return True
    return False


def _start_process() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _reshape() -> None:
    """Ask for no new namespace at all, which changes nothing and is otherwise always allowed."""
    if LINUX and ctypes.CDLL(None).unshare(0) != 0:
        raise PermissionError


@functools.cache
def inspect() -> tuple[Layer, ...]:
    """Start a confined process and tell which rights it has lost.

    Takes some tenths of a second, once. Never raises: where no process can be started, no layer is active.
    """
    failure = ""
    try:
        lost = _ask()
    except (SandboxError, OSError, msgspec.MsgspecError) as error:
        lost, failure = [], f"the inspection failed: {error}"
    reasons = {name: _reason(asked) for name, asked in _OFFERED_BY.items()}
    return tuple(
        Layer(
            name=name,
            active=name in lost,
            means=_MEANS[name],
            detail=_BY[by] if name in lost else failure or reasons[by] or "the kernel does not enforce it",
        )
        for name, layers in LAYERS.items()
        for by in [next((layer for layer in layers if not reasons[layer]), layers[0])]
    )


LAYERS = {
    "files": ("landlock",),
    "writing": ("landlock",),
    "attributes": ("seccomp",),
    "parent": ("landlock", "privileges"),
    "network": ("seccomp",),
    "processes": ("seccomp",),
    "signals": ("seccomp", "landlock"),
    "system_calls": ("seccomp",),
    "privileges": ("privileges",),
}
"""Right -> what takes it away; of several the first that the kernel has. Landlock knows signals from 6 on."""
_MEANS = {
    "files": "reading of other files",
    "writing": "writing of other files",
    "attributes": "changing of modes, owners and times of other files",
    "parent": "view of the server's environment",
    "network": "network",
    "processes": "new processes and programs",
    "signals": "signals to others",
    "system_calls": "system calls that it does not need",
    "privileges": "privileges, and none to gain",
}
_BY = {
    "landlock": "Landlock",
    "seccomp": "seccomp filter",
    "privileges": "no_new_privs, no capabilities",
}


def _require_linux() -> None:
    if not LINUX:
        raise OSError(errno.ENOSYS, "a part of Linux")


_OFFERED_BY: dict[str, Callable[[], object]] = {
    "landlock": landlock.version,
    "seccomp": seccomp.require,
    "privileges": _require_linux,
}


def _reason(asked: Callable[[], object]) -> str:
    """Return why the kernel does not offer something; empty where it does."""
    try:
        asked()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _ask() -> list[str]:
    limits = Limits(seconds=_SECONDS, answer_size=_MAX_ANSWER)
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(tempfile.NamedTemporaryFile(prefix="cadml-inspection-"))
        server = ForkServerProcess(WorkerSpec(program=InspectionProgram(), limits=limits, keeps_output=False))
        opened.callback(server.close)
        worker = server.fork()
        opened.callback(worker.close)
        answer = worker.ask(msgspec.msgpack.encode((file.name, os.getpid())))
        return msgspec.msgpack.decode(answer.body or b"\x90", type=list[str])
