"""What ``/duplicates`` takes and answers."""

from __future__ import annotations

import msgspec

from cadml_core.duplicates.decisions import Verdict
from cadml_core.duplicates.journal import Run
from cadml_core.duplicates.report import Report, ReportedGroup
from cadml_core.relations.relation import Kind
from cadml_hostapp.routes.fields import Body, PartId, Text


class RunRequest(Body, frozen=True, kw_only=True):
    """How to search."""

    meshes: bool = True
    """Whether to read meshes where only they can decide: up to a second a pair."""


class DecisionRequest(Body, frozen=True, kw_only=True):
    """What somebody decides of two parts."""

    verdict: Verdict
    """`different` pairs are not proposed again, unless a file changes."""
    note: Text = ""
    by: Text = ""
    """Who."""
    replace: bool = False
    """Whether to take the place of what somebody else has decided otherwise."""


class LeadRequest(Body, frozen=True, kw_only=True):
    """Which part of a group is to be kept."""

    part: PartId
    by: Text = ""


class LeadAnswer(msgspec.Struct, frozen=True):
    """Who leads."""

    lead: str
    sha256: str
    by: str
    at: str


class RunList(msgspec.Struct, frozen=True):
    """The last runs, newest first."""

    runs: list[Run]


class DuplicateGroups(msgspec.Struct, frozen=True, kw_only=True):
    """What was found within a scope, one page."""

    run: Run | None
    """The last run, or the one that was asked for; None where there was none."""
    parts: int
    waiting: int
    """Contents of the catalogue that no run has compared yet."""
    counts: dict[Kind, int]
    """Groups of each kind, on all pages."""
    groups: list[ReportedGroup]
    next_cursor: str | None
    """Give it as ``cursor`` for the next page; None on the last."""


def groups_answer(report: Report, after: int) -> DuplicateGroups:
    """Show a page of a report."""
    seen = after + len(report.groups)
    return DuplicateGroups(
        run=report.run,
        parts=report.parts,
        waiting=report.waiting,
        counts=report.counts,
        groups=report.groups,
        next_cursor=str(seen) if seen < sum(report.counts.values()) and report.groups else None,
    )
