"""Remove parts whose file is gone from the disk; never a file, and never a part whose file may be there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cadml_core.catalog.paths import path_to_text, text_to_path
from cadml_core.catalog.records import Part
from cadml_core.catalog.unread import UnreadFiles
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.intake.intake import Intake

_AT_ONCE = 500
"""Parts of one transaction."""


class Gone(msgspec.Struct, frozen=True):
    """What a folder's parts look like beside the disk."""

    root: str
    parts: tuple[Part, ...]
    """Those whose file is gone."""
    present: int
    """Parts below the folder whose file is there, or cannot be looked at."""
    unread: tuple[str, ...]
    """Paths of files that could not be read once and are gone too."""


def find_gone(intake: Intake, root: Path) -> Gone:
    """Compare the parts below a folder with the disk.

    Raises:
        NotFound: There is no such folder: perhaps its disk is not mounted, which says nothing of its files.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - Path.absolute() keeps ``..``
    if not root.is_dir():
        raise NotFound(
            f"there is no folder {root}; a disk that is not mounted says nothing about its files",
            stage="prune",
            path=path_to_text(root),
        )
    below = [part for part in intake.catalog.parts() if part.path and _is_below(part.path, root)]
    gone = tuple(part for part in below if part.path and _is_gone(part.path))
    unread = (file.path for file in UnreadFiles(intake.catalog).all())
    return Gone(
        path_to_text(root),
        gone,
        len(below) - len(gone),
        tuple(path for path in unread if _is_below(path, root) and _is_gone(path)),
    )


def prune(intake: Intake, gone: Gone, *, even_all: bool = False) -> None:
    """Remove the parts that ``find_gone`` found.

    Raises:
        InvalidInput: Not one file of the folder's parts is there, which looks like a disk that is not
            mounted; ``even_all`` says that it is meant.
    """
    if gone.parts and not gone.present and not even_all:
        raise InvalidInput(
            f"all {len(gone.parts):,} parts below {gone.root} are gone; is its disk mounted? Give --even-all"
            " to remove them all the same",
            stage="prune",
            parts=len(gone.parts),
        )
    for start in range(0, len(gone.parts), _AT_ONCE):
        remove_parts(intake, gone.parts[start : start + _AT_ONCE])
    UnreadFiles(intake.catalog).note([], gone.unread)


def remove_parts(intake: Intake, parts: Sequence[Part]) -> None:
    """Delete parts, and kept uploads that no other part has; files on disk stay.

    Raises:
        NotFound: One is not there any more; nothing is deleted.
    """
    intake.catalog.remove(*(part.id for part in parts))
    intake.blobs.discard({part.sha256 for part in parts if part.sha256})


def _is_below(path: str, root: Path) -> bool:
    return text_to_path(path).is_relative_to(root)


def _is_gone(path: str) -> bool:
    """Tell whether there is surely no such file; one in a locked folder may be there."""
    try:
        text_to_path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
