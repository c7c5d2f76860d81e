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
        landlock.restrict(
            [*installed.readable, *readable], [*writable, "/dev/null"], listable=installed.listable
        )
    if offers(seccomp.require):
        seccomp.restrict(os.getpid())


def offers(asked: Callable[[], object]) -> bool:
    """Tell whether the kernel has what a function asks for."""
    with contextlib.suppress(OSError):
        asked()
        return True
    return False
