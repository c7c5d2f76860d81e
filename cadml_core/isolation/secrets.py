"""Take secrets out of a process's environment, so that nobody reads them there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable


def forget(names: Iterable[str]) -> None:
    """Remove variables, and overwrite their values where the process was given them.

    Removing alone would leave them in the memory that Linux shows as ``/proc/PID/environ``, to every process
    of the same user, for as long as this one runs.
    """
    getenv = ctypes.CDLL(None).getenv
    getenv.argtypes, getenv.restype = (ctypes.c_char_p,), ctypes.c_void_p
    for name in names:
        if address := getenv(os.fsencode(name)):
            ctypes.memset(address, 0, len(ctypes.string_at(address)))
        os.environ.pop(name, None)
