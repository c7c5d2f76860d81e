"""Calls of the C library that may fail, as Python calls that raise."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

LINUX = sys.platform == "linux"
_library = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: Any) -> int:
    """Call a function that returns -1 on failure.

    Raises:
        OSError: It failed.
    """
    found = getattr(_library, function)
    found.restype = ctypes.c_long if function == "syscall" else ctypes.c_int
    result: int = found(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)
    return result


def prctl(option: int, *arguments: Any) -> int:
    """Call ``prctl``; whole numbers are passed as it takes them.

    Raises:
        OSError: It failed.
    """
    given = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    return call("prctl", ctypes.c_int(option), *given, *[ctypes.c_ulong(0)] * (4 - len(given)))
