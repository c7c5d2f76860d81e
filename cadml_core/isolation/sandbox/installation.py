"""What a confined process must be able to read: the interpreter, its libraries, and what it imports from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

import msgspec

_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/share", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/etc/fonts", "/dev/urandom",
)  # fmt: skip
"""Shared libraries, time zones, fonts, random numbers. What there is not is passed over."""
_FACTS = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",
    "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
)  # fmt: skip
"""What numeric libraries ask about the machine."""
_WHOLE = ("site-packages", "dist-packages")


class Installation(msgspec.Struct, frozen=True):
    """Paths that every confined process may read, or list."""

    readable: tuple[str, ...]
    listable: tuple[str, ...]


def installation() -> Installation:
    """Return what belongs to this interpreter and its import path.

    Of a folder on the import path that holds other things too (a project's own folder, say) only what can
    be imported is readable.
    """
    prefixes = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    entries = {os.path.realpath(entry) for entry in sys.path if entry and os.path.exists(entry)}  # noqa: PTH110
    loose = {entry for entry in entries if not _below(entry, prefixes)}
    libraries = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    readable = [
        *prefixes,
        *_SYSTEM,
        *_FACTS,
        *libraries,
        *(path for entry in loose for path in _modules(entry)),
    ]
    return Installation(tuple(readable), tuple(loose))


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _modules(entry: str) -> Iterator[str]:
    """Yield what can be imported from a folder, or the folder where it is made for nothing else."""
    if os.path.basename(entry) in _WHOLE or not os.path.isdir(entry):  # noqa: PTH112, PTH119
        yield entry
        return
    with os.scandir(entry) as found:
        for item in found:
            if item.is_dir():
                if item.name.endswith((".dist-info", ".egg-info")) or _holds_python(item.path):
                    yield item.path
            elif item.name.endswith((".py", ".so", ".pth", ".zip", ".egg-link")):
                yield item.path


def _holds_python(folder: str) -> bool:
    try:
        with os.scandir(folder) as found:
            return any(item.name.endswith(".py") for item in found)
    except OSError:
        return False
