"""Decisions as CSV: written for another catalogue or for review, and read back."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import IO

from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.decisions import STAGE, VERDICTS, Decision, Decisions, Lead, pair_of
from cadml_core.errors import InvalidInput
from cadml_core.intake.spreadsheets import guarded, unguarded

COLUMNS = ("a_sha256", "b_sha256", "verdict", "note", "by", "at", "a_part", "b_part", "a_path", "b_path")
"""The last three are for people, and are not read back; ``a_part`` is of leads."""
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LEAD = "lead"


def write_decisions(stream: IO[str], catalog: Catalog) -> int:
    """Write all decisions and leads; returns how many."""
    decisions = Decisions(catalog)
    found, leads = decisions.all(), decisions.leads()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for pair, decision in found.items():
        known = [next(iter(catalog.parts_by_sha256(sha256, limit=1)), None) for sha256 in pair]
        ids = [part.id if part else "" for part in known]
        paths = [(part.path or "") if part else "" for part in known]
        row = [*pair, decision.verdict, decision.note, decision.by, decision.at, *ids, *paths]
        writer.writerow(map(guarded, row))
    for lead in leads.values():
        writer.writerow(map(guarded, [lead.sha256, "", LEAD, "", lead.by, lead.at, lead.part, "", "", ""]))
    return len(found) + len(leads)


def read_decisions(stream: IO[str], catalog: Catalog) -> tuple[int, int]:
    """Take what ``write_decisions`` wrote, or a person has edited.

    Contents need not be in the catalogue: a decision waits for them.

    Returns:
        How many were taken, and how many were not, being older than those that are here.

    Raises:
        InvalidInput: A row does not fit; nothing was taken.
    """
    given: list[Decision] = []
    chosen: list[Lead] = []
    for found in _records(stream, catalog.now()):
        if isinstance(found, Lead):
            chosen.append(found)
        else:
            given.append(found)
    return Decisions(catalog).merge(given, chosen)


def _records(stream: IO[str], now: str) -> Iterator[Decision | Lead]:
    reader = csv.DictReader(stream)
    if missing := [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]:
        raise InvalidInput(f"the CSV lacks the column {missing[0]}", stage=STAGE)
    try:
        for record in reader:
            yield _record(
                {name: unguarded(value or "") for name, value in record.items() if name}, reader.line_num, now
            )
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num}: {error}", stage=STAGE) from None


def _record(row: dict[str, str], line: int, now: str) -> Decision | Lead:
    at = row.get("at") or now
    hashes = [row["a_sha256"]] if row["verdict"] == LEAD else [row["a_sha256"], row["b_sha256"]]
    for sha256 in hashes:
        if not _HASH.fullmatch(sha256):
            raise InvalidInput(f"line {line}: {sha256[:80]!r} is no sha256 of 64 hex digits", stage=STAGE)
    if not _TIME.fullmatch(at) or at > now:
        raise InvalidInput(f"line {line}: {at[:80]!r} is no time of the past such as {now}", stage=STAGE)
    if row["verdict"] == LEAD:
        return Lead(row["a_sha256"], row.get("a_part", ""), row.get("by", ""), at)
    for verdict in VERDICTS:
        if row["verdict"] == verdict:
            return Decision(*pair_of(*hashes), verdict, row.get("note", ""), row.get("by", ""), at)
    raise InvalidInput(
        f"line {line}: the verdict {row['verdict'][:80]!r} is not possible;"
        f" allowed: {', '.join(VERDICTS)}, {LEAD}",
        stage=STAGE,
    )
