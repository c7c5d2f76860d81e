"""Find the CAD files in files and folders, whatever links, loops and locked doors are there."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from cadml_core.errors import CadmlError, UnreadableInput
from cadml_core.reading.detection import display, unreadable
from cadml_core.reading.foreign import advice_for, foreign_suffix


def find_files(
    paths: Sequence[Path | str],
    suffixes: Collection[str],
    skipped: dict[Path, str] | None = None,
    *,
    follow_links: bool = False,
) -> Iterator[tuple[Path, CadmlError | None]]:
    """Yield every file meant by these paths, once, as an absolute path.

    A file that is named is meant whatever it is called. In a folder, and in those below it, files
    with one of the suffixes are meant; hidden ones (``.name``) are passed over. Links to folders are
    followed after the folders themselves, and no folder is entered twice, so loops end. The order
    depends on names only.

    Args:
        paths: Files and folders.
        suffixes: Those that a reader takes, in lower case, with their dots.
        skipped: Gets the files of other CAD systems that were passed over in folders, with their suffix.
        follow_links: Whether links in a folder may lead out of it. Whoever may write there could else have
            any file read that this process may read.

    Yields:
        A path, and None, or the error where a folder cannot be listed or a link leads out.
    """
    seen: set[Path] = set()
    for named in paths:
        start = Path(os.path.abspath(named))  # noqa: PTH100 - Path.absolute() keeps ``..``
        walk = (start, frozenset(suffixes), skipped, follow_links)
        found = _walk(*walk) if start.is_dir() else iter([(start, None)])
        for path, error in found:
            if path not in seen:
                seen.add(path)
                yield path, error


class SkippedFiles(msgspec.Struct, frozen=True):
    """Files of another CAD system that were passed over."""

    suffix: str
    count: int
    advice: str
    """What to do with them."""


def count_skipped(skipped: Mapping[Path, str]) -> tuple[SkippedFiles, ...]:
    """Return what ``find_files`` passed over, the most frequent suffix first."""
    counts = sorted(Counter(skipped.values()).items(), key=lambda item: (-item[1], item[0]))
    return tuple(SkippedFiles(suffix, count, advice_for(suffix)) for suffix, count in counts)


def _walk(
    root: Path, suffixes: frozenset[str], skipped: dict[Path, str] | None, follow_links: bool
) -> Iterator[tuple[Path, CadmlError | None]]:
    inside = None if follow_links else os.path.realpath(root)
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
            path, is_folder = Path(entry.path), _is_folder(entry)
            wanted = is_folder or path.suffix.lower() in suffixes
            if inside is not None and wanted and entry.is_symlink() and not _leads_into(inside, path):
                yield path, _leads_out(path, root)
            elif is_folder:
                (links if entry.is_symlink() else below).append(path)
            elif wanted:
                if _is_file_or_broken(entry):
                    yield path, None
            elif skipped is not None and (suffix := foreign_suffix(entry.name, suffixes)):
                skipped[path] = suffix
        folders.extendleft(reversed(below))


def _leads_into(root: str, link: Path) -> bool:
    """Tell whether a link, all links behind it followed, ends in this folder or below it."""
    target = os.path.realpath(link)
    return target == root or target.startswith(root.rstrip(os.sep) + os.sep)


def _leads_out(link: Path, root: Path) -> UnreadableInput:
    return UnreadableInput(
        f"{display(link)} is a link that leads out of {display(root)}; --follow-links follows such links",
        path=display(link),
        reason="leads out of the folder",
    )


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
