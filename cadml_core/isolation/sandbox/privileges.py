"""Give up what a process may do by its identity: new privileges, capabilities, and being looked into."""

from __future__ import annotations

import contextlib
import ctypes

from cadml_core.isolation.sandbox.libc import LINUX, call, prctl

# include/uapi/linux/prctl.h and include/uapi/linux/capability.h
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_Sets = ctypes.c_uint32 * 6
"""Effective, permitted and inheritable, twice 32 of each."""


def give_up() -> None:
    """Never gain privileges again, and keep no capability, root's included."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    hide()
    call("capset", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(_Sets()))


def hide() -> None:
    """Keep other processes of the same user from reading memory and environment of this one.

    It leaves no core dump either, and a debugger needs the rights of root. Nothing happens where the system
    knows no such thing.
    """
    if LINUX:
        with contextlib.suppress(OSError):
            prctl(_PR_SET_DUMPABLE, 0)


def given_up() -> bool:
    """Tell whether this process can gain no privileges and has no capability."""
    if not LINUX:
        return False
    held = _Sets()
    call("capget", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(held))
    return prctl(_PR_GET_NO_NEW_PRIVS) == 1 and not any(held)
