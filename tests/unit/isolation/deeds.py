"""What hostile code in a confined process would do; each is run in a real one."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

_libc = ctypes.CDLL(None, use_errno=True)
_X86 = os.uname().machine == "x86_64"


def _call(result: int) -> str:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return str(result)


def read(path: str) -> str:
    """Read a file."""
    return Path(path).read_text(encoding="latin-1")


def write(path: str) -> str:
    """Write a file, or make it."""
    return str(Path(path).write_text("written"))


def remove(path: str) -> str:
    """Delete a file."""
    Path(path).unlink()
    return "removed"


def link(path: str) -> str:
    """Make a second name for a file, in the folder that is writable."""
    os.link(path, Path(os.environ["TMPDIR"], "second"))
    return Path(os.environ["TMPDIR"], "second").read_text()


def scratch(_: str) -> str:
    """Use the temporary folder as any library does."""
    file = Path(os.environ["TMPDIR"], "own")
    file.write_text("own")
    return file.read_text()


def listing(path: str) -> str:
    """List a folder."""
    return ",".join(found.name for found in Path(path).iterdir())


def connect(address: str) -> str:
    """Connect over TCP."""
    host, port = address.split(":")
    socket.create_connection((host, int(port)), timeout=2).close()
    return "connected"


def unix_socket(path: str) -> str:
    """Connect to a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(path)
    return "connected"


def datagram(path: str) -> str:
    """Send to a socket in the file system from one that needs no permission to be made."""
    own, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    own.sendto(b"sent", path)
    return "sent"


def send_from_own(path: str) -> str:
    """Send to a socket in the file system from whatever socket the process holds."""
    for descriptor in range(3, 64):
        made = ctypes.create_string_buffer(b"\x01\x00" + path.encode() + b"\0")
        if _libc.sendto(descriptor, b"sent", 4, 0, made, len(made)) != -1:
            return "sent"
    return _call(-1)


def change_unopened(path: str) -> str:
    """Change mode, times and attributes of a file without opening it."""
    changes: list[Callable[[], None]] = [
        lambda: Path(path).chmod(0o777),
        lambda: os.utime(path, (1, 1)),
        lambda: os.chown(path, 1, 1),
        lambda: os.setxattr(path, "user.x", b"1"),
        lambda: os.removexattr(path, "user.x"),
    ]
    for change in changes:
        try:
            change()
        except PermissionError:
            continue
        return "changed"
    raise PermissionError


def watch(path: str) -> str:
    """Be told the names of the files that are made in a folder."""
    return _call(_libc.inotify_add_watch(_libc.inotify_init1(0), path.encode(), 0xFFF))


def signal_by_file(pid: str) -> str:
    """Have a pipe send SIGKILL to a process when there is something to read."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, int(pid))
    fcntl.fcntl(reader, 10, signal.SIGKILL)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")
    return "signalled"


def hoard_shared(_: str) -> str:
    """Take memory that is shared with nobody, and so counted for nobody."""
    return str(len(mmap.mmap(-1, 2 * 1024**3)))


def hoard_file(_: str) -> str:
    """Take memory as a file without a name."""
    os.ftruncate(os.memfd_create("hoard"), 2 * 1024**3)
    return "taken"


def threads(count: str) -> str:
    """Start threads that wait for ever."""
    threading.stack_size(32768)
    for _number in range(int(count)):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return "started"


def sockets(_: str) -> str:
    """Tell how many sockets there are."""
    found = 0
    for descriptor in range(3, 64):
        try:
            found += stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:
            continue
    return str(found)


def fork_bomb(_: str) -> str:
    """Start processes that start processes."""
    for _number in range(3):
        if os.fork() == 0:
            os._exit(0)
    return "forked"


def program(_: str) -> str:
    """Run a program."""
    return str(subprocess.run([sys.executable, "-c", "0"], check=True).returncode)


def ask_system(command: str) -> str:
    """Run a command as C programs do."""
    if os.system(command) != 0:
        raise PermissionError
    return "ran"


def unpickle(path: str) -> str:
    """Load another file through joblib."""
    import joblib

    return str(joblib.load(path))


def map_file(path: str) -> str:
    """Make an array that is a file."""
    import numpy as np

    return str(np.memmap(path, mode="w+", shape=3))


def replace_itself(_: str) -> str:
    """Become another program."""
    os.execv("/bin/true", ["/bin/true"])


def clone(_: str) -> str:
    """Start a process by the call below fork."""
    return _call(_libc.syscall(ctypes.c_long(56 if _X86 else 220), signal.SIGCHLD, 0, 0, 0, 0))


def thread(_: str) -> str:
    """Start a thread, which libraries may."""
    done: list[str] = []
    started = threading.Thread(target=done.append, args=("ran",))
    started.start()
    started.join()
    return done[0]


def attach(pid: str) -> str:
    """Attach to a process as a debugger."""
    return _call(_libc.ptrace(16, int(pid), 0, 0))


def read_memory(pid: str) -> str:
    """Read the memory of a process."""
    return _call(_libc.syscall(ctypes.c_long(310 if _X86 else 270), int(pid), None, 0, None, 0, 0))


def kill(pid: str) -> str:
    """Signal a process."""
    os.kill(int(pid), 0)
    return "signalled"


def kill_all(_: str) -> str:
    """Signal everything that it may."""
    os.kill(-1, 0)
    return "signalled"


def renice(pid: str) -> str:
    """Slow a process down."""
    os.setpriority(os.PRIO_PROCESS, int(pid), 19)
    return "slowed"


def limit_other(pid: str) -> str:
    """Change a limit of a process."""
    return str(resource.prlimit(int(pid), resource.RLIMIT_NOFILE))


def leave_group(_: str) -> str:
    """Leave the group that is killed as a whole."""
    os.setpgid(0, 0)
    return "left"


def outlive(_: str) -> str:
    """Ask not to die with the parent."""
    return _call(_libc.prctl(1, 0, 0, 0, 0))


def ring(_: str) -> str:
    """Use io_uring, which makes system calls of its own."""
    return _call(_libc.syscall(ctypes.c_long(425), 1, ctypes.create_string_buffer(256)))


def namespace(_: str) -> str:
    """Ask for a user namespace, in which one is root."""
    return _call(_libc.unshare(0x10000000))


def raise_limit(_: str) -> str:
    """Open up the memory limit."""
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "raised"


def hoard(_: str) -> str:
    """Raise the memory limit as far as it goes, and take 2 GiB."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    return str(len(bytearray(2 * 1024**3)))


def environment(_: str) -> str:
    """Tell what is in the environment."""
    return ",".join(os.environ)


DEEDS: dict[str, Callable[[str], str]] = {
    name: deed
    for name, deed in globals().items()
    if callable(deed) and getattr(deed, "__module__", "") == __name__
}


class Deeds:
    """Does deeds; the program of the confined process."""

    def prepare(self) -> Sequence[str]:
        """Nothing is needed."""
        return ()

    def answer(self, request: bytes) -> bytes:
        """Return what came of a deed: its result, or the error that stopped it."""
        name, argument = msgspec.msgpack.decode(request, type=tuple[str, str])
        try:
            found: tuple[bool, Any] = (True, DEEDS[name](argument))
        except (OSError, MemoryError, ValueError) as error:
            found = (False, type(error).__name__)
        return msgspec.msgpack.encode(found)
