"""Landlock: a process gives up all files but those it names, and signals and connections to others.

Source: Linux, ``include/uapi/linux/landlock.h`` and ``Documentation/userspace-api/landlock.rst``. The calls
have the same numbers on every architecture.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable

from cadml_core.isolation.sandbox.libc import LINUX, call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_ON_FILES = 1 << 0 | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version of the interface -> how many rights on files it knows; later versions know as many as 5."""
_NETWORK = 0b11
"""Bind and connect TCP; from version 4 on."""
_SCOPES = 0b11
"""Signals and abstract sockets of others; from version 6 on."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's interface.

    Raises:
        OSError: There is none; the message says why.
    """
    if not LINUX:
        raise OSError(errno.ENOSYS, "Landlock is a part of Linux")
    try:
        return call(
            "syscall", ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)
        )
    except OSError as error:
        told = {
            errno.ENOSYS: "this kernel was built without Landlock",
            errno.EOPNOTSUPP: "Landlock is off; the kernel's command line decides (lsm=landlock,...)",
        }
        raise OSError(error.errno, told.get(error.errno or 0, error.strerror)) from None


def restrict(readable: Iterable[str], writable: Iterable[str], listable: Iterable[str] = ()) -> None:
    """Confine this thread, and every process that comes of it, for good. Needs ``no_new_privs``.

    Args:
        readable: Files and folders, with everything in them. What is not there is passed over.
        writable: Folders in which files may be made, and files that may be written.
        listable: Folders whose names may be listed, with those of the folders below.

    Raises:
        OSError: The kernel refuses.
    """
    known = version()
    handled = (1 << _FILE_RIGHTS[min(known, 5)]) - 1
    ruleset = _ruleset(known, handled)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE), (listable, _READ_DIR)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        call("syscall", ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _ruleset(known: int, handled: int) -> int:
    rules = _Ruleset(handled, _NETWORK if known >= 4 else 0, _SCOPES if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    return call(
        "syscall",
        ctypes.c_long(_CREATE_RULESET),
        ctypes.byref(rules),
        ctypes.c_size_t(size),
        ctypes.c_uint32(0),
    )


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ON_FILES
        if not rights:
            return
        call(
            "syscall",
            ctypes.c_long(_ADD_RULE),
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(_PathBeneath(rights, descriptor)),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(descriptor)
