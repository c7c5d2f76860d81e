"""Groups as CSV: one row a part, for spreadsheets and for what reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import IO, Any

from cadml_core.catalog.records import Part
from cadml_core.duplicates.edges import Edge
from cadml_core.duplicates.report import ReportedGroup, ReportedPart, Reporter
from cadml_core.intake.spreadsheets import guarded

COLUMNS = (
    *("group", "kind", "size", "lead", "id", "name", "format", "path", "project", "material", "label"),
    *("sha256", "compared_with", "relation", "evidence", "certified", "tolerance_mm", "words", "reason"),
    "decision",
)


def write_groups(stream: IO[str], reporter: Reporter, groups: Iterable[ReportedGroup]) -> int:
    """Write every part of groups, also those beyond the lists; returns how many rows.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    count = 0
    for one in groups:
        for row in _rows(one, reporter):
            writer.writerow([guarded(value) if isinstance(value, str) else value for value in row])
            count += 1
    return count


def _rows(one: ReportedGroup, reporter: Reporter) -> Iterator[list[Any]]:
    edges = best_edges(one)
    for part in one.parts:
        yield [*_facts(one, part), *_edge(part.id, edges.get(part.id))]
    for rest in reporter.rest(one):
        yield [*_facts(one, rest), *[""] * 8]


def best_edges(one: ReportedGroup) -> dict[str, Edge]:
    """Return for each part of a group, but the lead, the edge that puts it there: one with the lead first."""
    found: dict[str, Edge] = {}
    for edge in sorted(one.edges, key=lambda edge: (one.lead not in (edge.a, edge.b), edge.via is not None)):
        for part in (edge.b, edge.a):
            if part != one.lead:
                found.setdefault(part, edge)
    return found


def _facts(one: ReportedGroup, part: ReportedPart | Part) -> list[Any]:
    lead = "yes" if part.id == one.lead else "no"
    facts = (part.path, part.project, part.material, part.label, part.sha256)
    return [
        one.id,
        one.kind,
        one.size,
        lead,
        part.id,
        part.name,
        part.format or "",
        *(fact or "" for fact in facts),
    ]


def _edge(part: str, edge: Edge | None) -> list[Any]:
    if edge is None:
        return [""] * 8
    other = edge.a if edge.b == part else edge.b
    certified = "yes" if edge.certified else "no"
    tolerance = "" if edge.tolerance is None else f"{edge.tolerance:.6g}"
    return [
        other,
        edge.kind,
        edge.evidence,
        certified,
        tolerance,
        edge.words,
        edge.reason or "",
        edge.decision or "",
    ]
