"""Find the CAD files in files and folders, whatever links, loops and locked doors are there."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cadml_core.errors import CadmlError
from cadml_core.reading.detection import unreadable


def find_files(
    paths: Sequence[Path | str], suffixes: Collection[str]
) -> Iterator[tuple[Path, CadmlError | None]]:
    """Yield every file meant by these paths, once, as an absolute path.

    A file that is named is meant whatever it is called. In a folder, and in those below it, files
    with one of the suffixes are meant; hidden ones (``.name``) are passed over. Links to folders are
    followed after the folders themselves, and no folder is entered twice, so loops end. The order
    depends on names only.

    Yields:
        A path, and None, or the error where a folder cannot be listed.
    """
    seen: set[Path] = set()
    for named in paths:
        start = Path(os.path.abspath(named))  # noqa: PTH100 - Path.absolute() keeps ``..``
        found = _walk(start, frozenset(suffixes)) if start.is_dir() else iter([(start, None)])
        for path, error in found:
            if path not in seen:
                seen.add(path)
                yield path, error


def _walk(root: Path, suffixes: frozenset[str]) -> Iterator[tuple[Path, CadmlError | None]]:
    entered: set[tuple[int, int]] = set()
    folders, links = deque([root]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            if not _enter(folder, entered):
                continue
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield folder, unreadable(folder, error)
            continue
        below: list[Path] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if _is_folder(entry):
                (links if entry.is_symlink() else below).append(path)
            elif path.suffix.lower() in suffixes and _is_file_or_broken(entry):
                yield path, None
        folders.extendleft(reversed(below))


def _enter(folder: Path, entered: set[tuple[int, int]]) -> bool:
    """Tell whether this folder, by whatever name, is entered for the first time."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in entered:
        return False
    entered.add(identity)
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file_or_broken(entry: os.DirEntry[str]) -> bool:
    """Pipes, sockets and devices are not files to read; a broken link is reported as a failure."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True
