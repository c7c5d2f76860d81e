"""Facts about parts from a table that people keep elsewhere, joined by path or by file name."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath, PureWindowsPath
from typing import IO

import msgspec

from cadml_core.catalog.paths import path_to_text, text_to_path
from cadml_core.catalog.records import NewPart, Part
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput
from cadml_core.intake.spreadsheets import unguarded

STAGE = "metadata"
PATH, NAME = "path", "name"
FACTS = ("material", "project", "label")
"""Columns that are facts of a part; any other is an entry of its metadata."""
_SEPARATORS = ",;\t"


class Unjoined(msgspec.Struct, frozen=True):
    """A row that changed no part, and why."""

    line: int
    key: str
    """The path or the name it gives."""
    reason: str
    parts: tuple[str, ...] = ()
    """Ids of the parts that it may mean."""


class Joined(msgspec.Struct, frozen=True):
    """What a table says of the parts of a catalogue."""

    rows: int
    matched: int
    """Parts that exactly one row is about, or several rows that agree."""
    changes: tuple[NewPart, ...]
    """Those of them that would change."""
    ambiguous: tuple[Unjoined, ...]
    """Rows that may mean several parts, or that contradict another row; none of them is taken."""
    unmatched: tuple[Unjoined, ...]
    """Rows about files that the catalogue does not have."""


def join(stream: IO[str], catalog: Catalog) -> Joined:
    """Find the part that each row of a CSV table means.

    A row's ``path`` counts where it has one, else its ``name``: a path is absolute, or the last components of
    one; a name is a file name with or without its suffix. Upper and lower case count only where they tell
    parts apart. Empty cells say nothing.

    Args:
        stream: Text whose first line names the columns, separated by commas, semicolons or tabs.
        catalog: Is read only.

    Raises:
        InvalidInput: There is no column ``path`` or ``name``, or this is not a table.
    """
    reader = _reader(stream)
    lookup = _Lookup(catalog.parts())
    said: dict[str, tuple[int, str, dict[str, str]]] = {}
    refused: dict[str, list[Unjoined]] = defaultdict(list)
    ambiguous, unmatched = [], []
    rows = 0
    for line, cells in _rows(reader):
        rows += 1
        path, name = cells.pop(PATH, ""), cells.pop(NAME, "")
        key = path or name
        found = lookup.by_path(path) if path else lookup.by_name(name)
        ids = tuple(part.id for part in found)
        if not found:
            unmatched.append(Unjoined(line, key, "no part has this file" if key else "the row names no file"))
        elif len(found) > 1:
            ambiguous.append(Unjoined(line, key, f"{len(found):,} parts may be meant", ids))
        elif (before := said.get(ids[0])) and before[2] != cells:
            refused[ids[0]].append(Unjoined(line, key, f"line {before[0]} says something else", ids))
        else:
            said.setdefault(ids[0], (line, key, cells))
    for part, others in refused.items():
        line, key, _ = said.pop(part)
        first = Unjoined(line, key, f"line {others[0].line} says something else", (part,))
        ambiguous += [first, *others]
    changes = [_change(lookup.parts[part], cells) for part, (_, _, cells) in said.items()]
    return Joined(
        rows,
        len(said),
        tuple(change for change in changes if change is not None),
        tuple(sorted(ambiguous, key=lambda one: one.line)),
        tuple(unmatched),
    )


def take(catalog: Catalog, joined: Joined) -> int:
    """Write the changes, all or none; returns how many parts have changed.

    Raises:
        InvalidInput: A value cannot be stored.
    """
    there = catalog.parts_by_id(change.id for change in joined.changes if change.id)
    outcomes = catalog.add([change for change in joined.changes if change.id in there])
    return sum(outcome.status != "unchanged" for outcome in outcomes)


class _Lookup:
    """Parts by the names of their files."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts: dict[str, Part] = {}
        self._paths: dict[str, Part] = {}
        self._names: dict[str, list[Part]] = defaultdict(list)
        self._files: dict[str, list[Part]] = defaultdict(list)
        for part in parts:
            self.parts[part.id] = part
            if part.path:
                self._paths[part.path] = part
                self._files[text_to_path(part.path).name.casefold()].append(part)
            for name in {part.name.casefold(), PurePath(part.name).stem.casefold()}:
                self._names[name].append(part)

    def by_name(self, name: str) -> list[Part]:
        """Return the parts that a file name may mean."""
        found = self._names.get(name.casefold(), []) if name else []
        for exact in (
            [part for part in found if part.name == name],
            [part for part in found if PurePath(part.name).stem == name],
        ):
            if exact:
                return exact
        return found

    def by_path(self, path: str) -> list[Part]:
        """Return the parts whose path is this, or ends with it; Windows' separators do too."""
        try:
            exact = self._paths.get(path) or self._paths.get(path_to_text(path))
        except ValueError:  # a NUL, which no file has
            return []
        if exact:
            return [exact]
        wanted = tuple(name for name in PureWindowsPath(path).parts if name != ".")
        if not wanted or PureWindowsPath(path).anchor:
            return []
        ending = [
            (tail, part)
            for tail, part in self._tails(wanted[-1], len(wanted))
            if [name.casefold() for name in tail] == [name.casefold() for name in wanted]
        ]
        return [part for tail, part in ending if tail == wanted] or [part for _, part in ending]

    def _tails(self, file_name: str, count: int) -> Iterator[tuple[tuple[str, ...], Part]]:
        """Yield the last components of the paths of files that are called so."""
        for part in self._files.get(file_name.casefold(), []):
            yield text_to_path(part.path or "").parts[-count:], part


def _change(part: Part, cells: dict[str, str]) -> NewPart | None:
    """Return what a row changes of a part, if anything; metadata that it does not name stays."""
    meta = {**part.meta, **{name: text for name, text in cells.items() if name not in FACTS}}
    if meta == part.meta and all(cells.get(name) in (None, getattr(part, name)) for name in FACTS):
        return None
    return NewPart(
        id=part.id,
        material=cells.get("material"),
        project=cells.get("project"),
        label=cells.get("label"),
        meta=None if meta == part.meta else meta,
    )


def _reader(stream: IO[str]) -> csv.DictReader[str]:
    try:
        header = stream.readline()
    except UnicodeDecodeError:
        raise InvalidInput("the table is not UTF-8 text; save it as CSV UTF-8", stage=STAGE) from None
    separator = max(_SEPARATORS, key=header.count)
    columns = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    plain = [name.lower() if name.lower() in (PATH, NAME, *FACTS) else name for name in columns]
    _require_columns(plain)
    return csv.DictReader(stream, plain, delimiter=separator, restval="")


def _require_columns(columns: Sequence[str]) -> None:
    if PATH not in columns and NAME not in columns:
        raise InvalidInput(
            f"the table has no column {PATH!r} or {NAME!r} in its first line, which would say what part a row"
            " is about",
            stage=STAGE,
            columns=list(columns)[:50],
        )
    if len(set(columns)) < len(columns):
        raise InvalidInput("the table has two columns of one name", stage=STAGE, columns=list(columns)[:50])


def _rows(reader: csv.DictReader[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield line numbers of the file, and the cells that say something."""
    try:
        for record in reader:
            line = reader.line_num + 1
            if record.get(None):
                raise InvalidInput(f"line {line} has more cells than there are columns", stage=STAGE)
            cells = {name: unguarded(text.strip()) for name, text in record.items() if name}
            yield line, {name: text for name, text in cells.items() if text}
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num + 1}: {error}", stage=STAGE) from None
    except UnicodeDecodeError:
        raise InvalidInput("the table is not UTF-8 text; save it as CSV UTF-8", stage=STAGE) from None
