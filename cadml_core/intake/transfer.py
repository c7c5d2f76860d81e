"""Vectors out of a catalogue into a file, and back: ``.npz``, ``.csv`` or ``.jsonl``."""

from __future__ import annotations

import csv
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cadml_core.catalog.records import NewPart, Part, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion, comparable, embedded
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import InvalidInput, NotFound, UnreadableInput
from cadml_core.intake.intake import Intake
from cadml_core.intake.spreadsheets import guarded, unguarded
from cadml_core.intake.values import values_of
from cadml_core.printable import unquoted

FACTS = ("id", "name", "path", "format", "label", "material", "project")
"""What is told of each part beside its numbers; missing ones are empty."""
STORED_FACTS = ("id", "name", "path", "label", "material", "project")
"""Those of them that an import takes; the format follows from the file's content."""
_EMBEDDING = "embedding_"
_BATCH = 1000


class VectorTable(msgspec.Struct, frozen=True):
    """Parts with their vectors of one feature version, in the order of row numbers."""

    version: str
    slots: tuple[str, ...]
    facts: Mapping[str, Sequence[str]]
    """By name of ``FACTS``, n texts each."""
    values: FloatMatrix
    """Raw values, float64 (n, slots)."""
    embeddings: FloatMatrix
    """float32 (n, e); (n, 0) in a table that was read back."""

    def __len__(self) -> int:
        return len(self.values)


def collect(
    intake: Intake, feature: FeatureVersion, progress: Callable[[int, int | None], None] | None = None
) -> tuple[VectorTable, tuple[tuple[Part, str], ...]]:
    """Take every part that has, or can have, a vector of this version.

    Returns:
        The table, and the parts that are not in it, each with the reason.

    Raises:
        NotFound: There is none.
    """
    parts = {part.row: part for part in intake.catalog.parts()}
    found = values_of(intake, feature, list(parts.values()), progress)
    if not len(found.rows):
        raise NotFound(f"the catalogue holds no part with a {feature.name} vector", stage="export")
    chosen = [parts[row] for row in found.rows.tolist()]
    facts = {fact: [_text(part, fact) for part in chosen] for fact in FACTS}
    slots = tuple(slot.name for slot in feature.slots)
    table = VectorTable(feature.name, slots, facts, found.values, embedded(feature, found.values))
    return table, found.missing


def _text(part: Part, fact: str) -> str:
    value = getattr(part, fact)
    return "" if value is None else str(value)


def write(table: VectorTable, path: Path) -> None:
    """Write a table in the form that the suffix names; the file appears whole or not at all, and
    only its owner may open it. In CSV, text that begins like a formula is guarded (``spreadsheets``).

    Raises:
        InvalidInput: The suffix is none of ``.npz``, ``.csv``, ``.jsonl``.
        UnreadableInput: The file cannot be written.
    """
    writer = _by_suffix(path, {".npz": _write_npz, ".csv": _write_csv, ".jsonl": _write_jsonl})
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            writer(table, temporary)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise UnreadableInput(f"cannot write {path}: {error.strerror}", path=str(path)) from error


def read(path: Path) -> VectorTable:
    """Read a table back.

    Raises:
        InvalidInput: The suffix is unknown, or the content is not what ``write`` wrote.
        NotFound, UnreadableInput: The file is not there, or cannot be read.
    """
    reader = _by_suffix(path, {".npz": _read_npz, ".csv": _read_csv, ".jsonl": _read_jsonl})
    try:
        return _checked(reader(path), path)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", stage="import", path=str(path)) from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, csv.Error) as error:
        if isinstance(error, InvalidInput):
            raise
        raise _unusable(path, f"{type(error).__name__}: {unquoted(str(error))}") from error
    except OSError as error:
        raise UnreadableInput(f"cannot read {path}: {error.strerror or error}", path=str(path)) from error


def store(
    catalog: Catalog, table: VectorTable, feature: FeatureVersion, progress: Callable[[int, int], None]
) -> dict[str, int]:
    """Add the parts of a table, or change those whose id is known; a batch at a time.

    Returns:
        How many were added, changed and unchanged.

    Raises:
        InvalidInput: Values are too large for an index. Nothing is stored then.
    """
    fits = comparable(feature, table.values)
    if not fits.all():
        first = table.facts["id"][int(np.argmin(fits))]
        raise InvalidInput(
            f"{int((~fits).sum()):,} parts, {first!r} the first, have a value that is too large to be"
            f" compared in {feature.name}",
            stage="import",
            id=first,
        )
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for start in range(0, len(table), _BATCH):
        indexes = range(start, min(start + _BATCH, len(table)))
        for outcome in catalog.add([_new_part(table, index) for index in indexes]):
            counts[outcome.status if outcome.status in counts else "changed"] += 1
        progress(indexes[-1] + 1, len(table))
    return counts


def _new_part(table: VectorTable, index: int) -> NewPart:
    facts = {fact: table.facts[fact][index] or None for fact in STORED_FACTS if fact in table.facts}
    return NewPart(**facts, vectors={table.version: Vector(table.values[index], "registered")})  # type: ignore[arg-type]


def _by_suffix(path: Path, choices: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    try:
        return choices[path.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"{path.name}: expected a name that ends in {', '.join(choices)}", stage="transfer"
        ) from None


def _unusable(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(f"{path} is not an exported table: {reason}", stage="import", path=str(path))


def _checked(table: VectorTable, path: Path) -> VectorTable:
    ids = list(table.facts["id"])
    if any(len(column) != len(table) for column in table.facts.values()):
        raise _unusable(path, "its columns differ in length")
    if table.values.shape != (len(ids), len(table.slots)):
        raise _unusable(path, f"{len(ids)} parts and {len(table.slots)} slots, values {table.values.shape}")
    if not np.isfinite(table.values).all():
        raise _unusable(path, "a value is not a finite number")
    if not all(ids) or len(set(ids)) != len(ids):
        raise _unusable(path, "an id is empty or stands twice")
    return table


def _write_npz(table: VectorTable, path: Path) -> None:
    arrays = {f"{fact}s": np.array(column, dtype=np.str_) for fact, column in table.facts.items()}
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            version=np.array(table.version),
            slots=np.array(table.slots),
            values=table.values,
            embeddings=table.embeddings,
            **arrays,
        )


def _read_npz(path: Path) -> VectorTable:
    with np.load(path, allow_pickle=False) as data:
        facts = {fact: data[f"{fact}s"].tolist() for fact in FACTS if f"{fact}s" in data}
        values = np.asarray(data["values"], dtype=np.float64)
        slots = tuple(data["slots"].tolist())
        return VectorTable(str(data["version"]), slots, facts, values, values[:, :0])


def _write_csv(table: VectorTable, path: Path) -> None:
    names = [f"{_EMBEDDING}{index}" for index in range(table.embeddings.shape[1])]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FACTS, "feature_version", *table.slots, *names])
        for index in range(len(table)):
            facts = [guarded(table.facts[fact][index]) for fact in FACTS]
            numbers = [*table.values[index].tolist(), *table.embeddings[index].tolist()]
            writer.writerow([*facts, guarded(table.version), *numbers])


def _read_csv(path: Path) -> VectorTable:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
        columns = list(reader.fieldnames or ())
    known = {*FACTS, "feature_version"}
    slots = tuple(name for name in columns if name not in known and not name.startswith(_EMBEDDING))
    records = [
        {**{name: unguarded(row[name]) for name in columns if name in known}, "values": _numbers(row, slots)}
        for row in rows
    ]
    return _from_records(records, path)


def _numbers(row: Mapping[str, str], slots: Sequence[str]) -> dict[str, float]:
    return {slot: float(row[slot]) for slot in slots}


def _write_jsonl(table: VectorTable, path: Path) -> None:
    with path.open("wb") as file:
        for index in range(len(table)):
            record: dict[str, Any] = {fact: table.facts[fact][index] or None for fact in FACTS}
            record["feature_version"] = table.version
            record["values"] = dict(zip(table.slots, table.values[index].tolist(), strict=True))
            record["embedding"] = table.embeddings[index].tolist()
            file.write(msgspec.json.encode(record) + b"\n")


def _read_jsonl(path: Path) -> VectorTable:
    lines = path.read_bytes().splitlines()
    return _from_records([msgspec.json.decode(line, type=dict) for line in lines if line.strip()], path)


def _from_records(records: Sequence[Mapping[str, Any]], path: Path) -> VectorTable:
    if not records:
        raise _unusable(path, "it holds no part")
    versions = {record["feature_version"] for record in records}
    if len(versions) != 1:
        raise _unusable(path, f"it mixes feature versions: {', '.join(sorted(map(str, versions)))}")
    slots = tuple(records[0]["values"])
    values = np.array([[record["values"][slot] for slot in slots] for record in records], dtype=np.float64)
    facts = {fact: [str(record.get(fact) or "") for record in records] for fact in FACTS}
    return VectorTable(versions.pop(), slots, facts, values, values[:, :0])
