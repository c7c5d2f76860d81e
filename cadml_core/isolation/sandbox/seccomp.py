"""Seccomp: the kernel refuses a process what it never needs, whatever code runs in it.

The filter is a classic BPF program over ``struct seccomp_data``; source: Linux,
``include/uapi/linux/seccomp.h``, ``filter.h`` and ``Documentation/userspace-api/seccomp_filter.rst``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

from cadml_core.isolation.sandbox import syscalls
from cadml_core.isolation.sandbox.libc import LINUX, prctl

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 21, 22, 2
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
_DENIED_IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902)
"""What puts text into another's terminal (TIOCSTI, TIOCLINUX), and what has files send signals (below)."""
_DENIED_FCNTLS = (8, 10, 15, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: a file then sends any signal to any process of the same user, whoever
may not be killed. F_NOTIFY tells of files in a folder."""
_SHARED_ANONYMOUS = 0x21
"""MAP_SHARED with MAP_ANONYMOUS: memory that no limit of the process counts."""
_Code = tuple[int, int, int, int]
_FAIL: _Code = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_PASS: _Code = (_RETURN, 0, 0, _ALLOW)
_MISSING: _Code = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def require() -> None:
    """Check that a filter can be set here.

    Raises:
        OSError: It cannot; the message says why.
    """
    if not LINUX:
        raise OSError(errno.ENOSYS, "seccomp is a part of Linux")
    machine = platform.machine()
    if machine not in syscalls.ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not in cadml's table")
    try:
        prctl(_PR_GET_SECCOMP)
    except OSError:
        raise OSError(errno.ENOSYS, "this kernel was built without seccomp") from None


def restrict(pid: int) -> None:
    """Deny this process, for good, what the table names. Needs ``no_new_privs``.

    New threads are allowed, new processes are not. It may signal itself only.

    Args:
        pid: The process's own id.

    Raises:
        OSError: The kernel refuses.
    """
    column, architecture = syscalls.ARCHITECTURES[platform.machine()]
    code = [*_start(architecture, column), *_by_argument(column, pid), *_always(column), _PASS]
    packed = b"".join(struct.pack("=HBBI", *one) for one in code)
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(code), packed)))


def _start(architecture: int, column: int) -> Iterable[_Code]:
    yield (_LOAD, 0, 0, _ARCHITECTURE)
    yield (_EQUAL, 1, 0, architecture)
    yield (_RETURN, 0, 0, _KILL)  # a 32-bit call has other numbers
    yield (_LOAD, 0, 0, _NUMBER)
    if column == 0:
        yield from ((_AT_LEAST, 0, 1, _X32), _FAIL)
    # A call that is newer than the table might do what the table denies. Callers fall back to older ones.
    yield from ((_AT_LEAST, 0, 1, syscalls.NEWEST + 1), _MISSING)


def _always(column: int) -> Iterable[_Code]:
    # The C library asks ``clone`` where there is no ``clone3``, whose flags no filter can see.
    yield from ((_EQUAL, 0, 1, syscalls.CLONE3[column]), _MISSING)
    for number in syscalls.denied(column):
        yield from ((_EQUAL, 0, 1, number), _FAIL)


def _by_argument(column: int, pid: int) -> Iterable[_Code]:
    yield from _where(syscalls.CLONE[column], 0, [(_ANY_BIT, 0, 1, _CLONE_THREAD), _PASS, _FAIL])
    for own in (syscalls.KILL, syscalls.TGKILL):
        yield from _where(own[column], 0, [(_EQUAL, 0, 1, pid), _PASS, _FAIL])
    for own in (syscalls.PRLIMIT64, syscalls.SCHED_SETAFFINITY):
        yield from _where(own[column], 0, [(_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, pid), _PASS, _FAIL])
    yield from _unless(syscalls.PRCTL[column], 0, (_PR_SET_PDEATHSIG,))
    yield from _unless(syscalls.IOCTL[column], 1, _DENIED_IOCTLS)
    yield from _unless(syscalls.FCNTL[column], 1, _DENIED_FCNTLS)
    shared = [(_AND, 0, 0, _SHARED_ANONYMOUS), (_EQUAL, 0, 1, _SHARED_ANONYMOUS), _FAIL, _PASS]
    yield from _where(syscalls.MMAP[column], 3, shared)
    # Where a socket is at hand, an address would send from it to others.
    upper = (_LOAD, 0, 0, 16 + 8 * 4 + 4)
    yield from _where(syscalls.SENDTO[column], 4, [(_EQUAL, 0, 3, 0), upper, (_EQUAL, 0, 1, 0), _PASS, _FAIL])


def _unless(number: int, argument: int, denied: tuple[int, ...]) -> Iterable[_Code]:
    """Allow one call but with these values of an argument."""
    last = len(denied) - 1
    tests = [(_EQUAL, last - index, 1 if index == last else 0, value) for index, value in enumerate(denied)]
    yield from _where(number, argument, [*tests, _FAIL, _PASS])


def _where(number: int, argument: int, rest: list[_Code]) -> Iterable[_Code]:
    """Decide one call by the lower half of an argument; the kernel takes these as 32 bits."""
    yield (_EQUAL, 0, len(rest) + 1, number)
    yield (_LOAD, 0, 0, 16 + 8 * argument)
    yield from rest
