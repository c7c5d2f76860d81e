"""Enter the sandbox: everything that the kernel offers, in the order in which it must be asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable

from cadml_core.isolation.sandbox import landlock, privileges, seccomp
from cadml_core.isolation.sandbox.installation import Installation
from cadml_core.isolation.sandbox.libc import LINUX


def enter(installed: Installation, readable: Iterable[str], writable: Iterable[str]) -> None:
    """Confine this process for good, before it sees a byte that nobody vouches for.

    What the kernel does not offer is left out; ``cadml_core.isolation.inspection`` tells what that is.

    Args:
        installed: What it may read in any case.
        readable: Files and folders that it was asked to read.
        writable: Folders for its temporary files.

    Raises:
        OSError: The kernel offers a layer and refuses it.
    """
    if not LINUX:
        return
    privileges.give_up()
    if offers(landlock.version):
        own = _own_files()
        landlock.restrict(
            [*installed.readable, *readable, *own], [*writable, "/dev/null"], listable=installed.listable
        )
    if offers(seccomp.require):
        seccomp.restrict(os.getpid())


def _own_files() -> list[str]:
    """Return what libraries read about their own process: k-means asks which thread pools are loaded.

    They are held open, since a rule is for a file's inode, and the kernel may make others for files under
    ``/proc`` that nobody uses.
    """
    paths = [f"/proc/{os.getpid()}/{name}" for name in ("maps", "status", "cgroup")]
    for path in paths:
        with contextlib.suppress(OSError):
            os.open(path, os.O_PATH | os.O_CLOEXEC)
    return paths


def offers(asked: Callable[[], object]) -> bool:
    """Tell whether the kernel has what a function asks for."""
    with contextlib.suppress(OSError):
        asked()
        return True
    return False
