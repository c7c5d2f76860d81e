"""Run a command on a kernel that seems to lack a layer of the sandbox.

python without.py landlock|seccomp COMMAND ...
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_LOAD, _EQUAL, _RETURN, _ALLOW = 0x20, 0x15, 0x06, 0x7FFF0000
_NO_SUCH_CALL, _INVALID = 0x00050000 | 38, 0x00050000 | 22
_PRCTL = 157 if platform.machine() == "x86_64" else 167
FILTERS = {
    "landlock": [(_EQUAL, 0, 1, 444), (_RETURN, 0, 0, _NO_SUCH_CALL)],
    # prctl(PR_GET_SECCOMP) and prctl(PR_SET_SECCOMP)
    "seccomp": [
        (_EQUAL, 0, 4, _PRCTL),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 1, 0, 21),
        (_EQUAL, 0, 1, 22),
        (_RETURN, 0, 0, _INVALID),
    ],
}


class Program(ctypes.Structure):
    """A filter as the kernel takes it."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def main(layer: str, command: list[str]) -> None:
    """Set the filter and become the command."""
    code = [(_LOAD, 0, 0, 0), *FILTERS[layer], (_RETURN, 0, 0, _ALLOW)]
    packed = b"".join(struct.pack("=HBBI", *one) for one in code)
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(38, 1, 0, 0, 0) == 0
    assert library.prctl(22, 2, ctypes.byref(Program(len(code), packed)), 0, 0) == 0
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
