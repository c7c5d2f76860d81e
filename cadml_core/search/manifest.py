"""What a manifest says about files: families, which part each is a variant of, and how."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from cadml_core.catalog.paths import path_to_text
from cadml_core.errors import InvalidInput, NotFound

SAME = ("identical", "rotated", "inch", "iges", "stl_fine", "stl_coarse")
"""Relations of files that show the very part: moved, in another unit, in another format."""
EDITED = ("hole_more", "hole_dia", "thick5", "fillet")
"""Relations of parts with one feature changed."""
CHANGED = ("scaled2", "two_bodies")
"""Relations of parts that were changed as a whole."""
COLUMNS = ("path", "format", "family", "base", "relation", "chiral")
_PAIR = "pair_"


class Entry(msgspec.Struct, frozen=True):
    """One file of a manifest."""

    path: str
    """Below the manifest's folder, with ``/``."""
    format: str
    family: str
    """Empty where the part belongs to none."""
    base: str
    """Path of the part that this is a variant of; empty where it is one of its own."""
    relation: str
    """How it differs from its base; of a part without base, how it lies (``aligned``, ``turned``).
    ``pair_...``: files of one part in two formats, one of which is the base of the other."""
    chiral: bool
    """Whether the part differs from its mirror image."""

    @property
    def paired(self) -> bool:
        """Whether this is one of two files of a part."""
        return self.relation.startswith(_PAIR)

    @property
    def member(self) -> bool:
        """Whether this stands for its family."""
        return bool(self.family) and not self.base and not self.paired

    @property
    def variant(self) -> bool:
        """Whether this was made from another part."""
        return bool(self.base) and not self.paired

    @property
    def same_part(self) -> bool:
        """Whether this shows the very part that its base is, as a mirror image does unless it is chiral."""
        return self.relation in SAME or (self.relation == "mirrored" and not self.chiral)

    @property
    def other_part(self) -> bool:
        """Whether this is like its base, and surely another part."""
        changed = self.relation in (*EDITED, *CHANGED)
        return changed or (self.relation == "mirrored" and self.chiral)


def read_manifest(path: Path) -> dict[str, Entry]:
    """Read a manifest: a CSV file with a header and at least the columns of ``COLUMNS``.

    Returns:
        The entries by path.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It is no such table; the message names the column or the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            lacking = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if lacking:
                raise _wrong(path, f"has no column {', '.join(lacking)}; expected {', '.join(COLUMNS)}")
            return _entries(path, ((rows.line_num, row) for row in rows))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", stage="evaluate", path=str(path)) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, f"cannot be read: {error}") from None


def _entries(path: Path, rows: Iterable[tuple[int, Mapping[str, str | None]]]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for line, row in rows:
        text = {column: (row[column] or "").strip() for column in COLUMNS}
        if not text["path"] or text["path"] in found:
            problem = "names a path twice" if text["path"] else "has no path"
            raise _wrong(path, f"{problem} in line {line}: {text['path']}")
        chiral = text.pop("chiral") not in ("", "0", "false", "no")
        found[text["path"]] = Entry(**text, chiral=chiral)
    for entry in found.values():
        if entry.base and entry.base not in found:
            raise _wrong(path, f"names the base {entry.base}, which is no path of it")
    return found


def match(entries: Mapping[str, Entry], folder: Path, paths: Mapping[int, str]) -> dict[int, Entry]:
    """Find out which parts are files of a manifest.

    A part whose file lies below the manifest's folder is its file there; elsewhere (a copy) a part is one
    where its path ends in the entry's.

    Args:
        entries: The manifest.
        folder: Where it lies.
        paths: By row number, as ``cadml_core.catalog.paths`` writes them.

    Raises:
        InvalidInput: Two parts could be one entry's.
    """
    root = path_to_text(folder).rstrip("/") + "/"
    depth = max((path.count("/") + 1 for path in entries), default=0)
    inside: dict[str, int] = {}
    outside: dict[str, int] = {}
    for row, path in paths.items():
        if path.startswith(root) and path.removeprefix(root) in entries:
            inside[path.removeprefix(root)] = row
        elif (ending := _ending(path, depth, entries)) is not None:
            if ending in outside:
                raise InvalidInput(
                    f"{path} and {paths[outside[ending]]} could both be the manifest's {ending}; evaluate a"
                    " catalogue that holds one copy of its files",
                    stage="evaluate",
                )
            outside[ending] = row
    return {row: entries[path] for path, row in (outside | inside).items()}


def _ending(path: str, depth: int, entries: Mapping[str, Entry]) -> str | None:
    """The longest end of a path that is an entry's."""
    steps = path.split("/")
    ends = ("/".join(steps[-length:]) for length in range(min(depth, len(steps)), 0, -1))
    return next((end for end in ends if end in entries), None)


def _wrong(path: Path, problem: str) -> InvalidInput:
    return InvalidInput(f"the manifest {path} {problem}", stage="evaluate", path=str(path))
