"""What people decided of pairs of contents, and which parts they chose to lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec
import sqlalchemy as sa

from cadml_core.catalog.engine import lock, storable, upsert
from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import decisions, leads
from cadml_core.errors import CadmlError, InvalidInput, NotFound

STAGE = "duplicates"
Verdict = Literal["duplicate", "different"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Pair = tuple[str, str]
"""The sha256 of two contents, the lesser first; the same twice for copies of one file."""
_MOST = 2_000


class Decision(msgspec.Struct, frozen=True):
    """What somebody decided of two contents."""

    a: str
    """sha256, not above that of b."""
    b: str
    verdict: Verdict
    note: str = ""
    by: str = ""
    at: str = ""
    """ISO 8601, UTC."""


class Lead(NamedTuple):
    """A content that somebody chose to lead its group."""

    sha256: str
    part: str
    """Id of the part among those of this content."""
    by: str
    at: str


def pair_of(a: str, b: str) -> Pair:
    """Return two hashes in the order in which decisions have them."""
    return (a, b) if a <= b else (b, a)


class Decisions:
    """The decisions of one catalogue. They are about contents, so they hold wherever the files lie."""

    def __init__(self, catalog: Catalog) -> None:
        self._database, self._now = catalog.database, catalog.now

    def all(self) -> dict[Pair, Decision]:
        """Return every decision, of contents that are gone as well."""
        found = self._database.fetch("SELECT a, b, verdict, note, author, at FROM decisions ORDER BY a, b")
        return {(record[0], record[1]): Decision(*record) for record in found}

    def leads(self) -> dict[str, Lead]:
        """Return the contents that were chosen to lead, by sha256."""
        found = self._database.fetch("SELECT sha256, part, author, at FROM leads")
        return {record[0]: Lead(*record) for record in found}

    def decide(
        self, a: Part, b: Part, verdict: Verdict, *, note: str = "", by: str = "", replace: bool = False
    ) -> Decision:
        """Decide about the contents of two parts.

        Args:
            a: One part.
            b: Another; of two copies of one file, this is about all its copies.
            verdict: ``different`` pairs are not proposed again, unless a file changes.
            note: Why.
            by: Who.
            replace: Whether to take the place of what somebody else decided otherwise.

        Raises:
            NotFound: A part has no file, so that nothing identifies what it is.
            InvalidInput: It is one part, or a text cannot be stored.
            CadmlError: DECISION_CONFLICT where somebody else has decided otherwise.
        """
        if a.id == b.id:
            raise InvalidInput(f"{a.id!r} is one part; a decision is about two", stage=STAGE)
        first, second = pair_of(content_of(a), content_of(b))
        decision = Decision(first, second, verdict, _text(note, "note"), _text(by, "by"), self._now())
        with self._database.write() as connection:
            lock(connection)
            query = sa.select(decisions).where(decisions.c.a == first, decisions.c.b == second)
            before = connection.execute(query).one_or_none()
            if before is not None and not replace and before.verdict != verdict and before.author != by:
                raise _conflict(before.verdict, before.author, before.at)
            upsert(connection, decisions, [_row(decision)])
        return decision

    def withdraw(self, a: Part, b: Part) -> None:
        """Undo a decision, so that the pair is open again.

        Raises:
            NotFound: There is none.
        """
        first, second = pair_of(content_of(a), content_of(b))
        with self._database.write() as connection:
            deleted = connection.execute(
                decisions.delete().where(decisions.c.a == first, decisions.c.b == second)
            ).rowcount
        if not deleted:
            raise NotFound(f"nothing was decided of {a.id!r} and {b.id!r}", stage=STAGE)

    def choose_lead(self, part: Part, *, by: str = "") -> Lead:
        """Let a part lead whatever group it is in; of several in one group the last that was chosen leads.

        Raises:
            NotFound: The part has no file.
            InvalidInput: The name cannot be stored.
        """
        lead = Lead(content_of(part), part.id, _text(by, "by"), self._now())
        with self._database.write() as connection:
            upsert(connection, leads, [tuple(lead)])
        return lead

    def merge(self, given: Iterable[Decision], chosen: Sequence[Lead] = ()) -> tuple[int, int]:
        """Take decisions from elsewhere; of two about one pair the later holds.

        Returns:
            How many were taken, and how many were not, being older than what is here.
        """
        with self._database.write() as connection:
            lock(connection)
            known = {(row.a, row.b): row.at for row in connection.execute(sa.select(decisions))}
            wanted = {pair_of(one.a, one.b): one for one in sorted(given, key=lambda one: one.at)}
            taken = [_row(one) for pair, one in wanted.items() if one.at >= known.get(pair, "")]
            led = {row.sha256: row.at for row in connection.execute(sa.select(leads))}
            newest = {lead.sha256: lead for lead in sorted(chosen, key=lambda lead: lead.at)}
            leading = [tuple(lead) for lead in newest.values() if lead.at >= led.get(lead.sha256, "")]
            if taken:
                upsert(connection, decisions, taken)
            if leading:
                upsert(connection, leads, leading)
        return len(taken) + len(leading), len(wanted) + len(newest) - len(taken) - len(leading)


def content_of(part: Part) -> str:
    """Return the sha256 of a part's content.

    Raises:
        NotFound: It was registered without a file.
    """
    if part.sha256 is None:
        raise NotFound(f"part {part.id!r} was registered without a file", stage=STAGE, id=part.id)
    return part.sha256


def different(all_: Mapping[Pair, Decision]) -> set[Pair]:
    """Return the pairs that are not to be proposed."""
    return {pair for pair, decision in all_.items() if decision.verdict == "different"}


def _row(decision: Decision) -> tuple[str, ...]:
    first, second = pair_of(decision.a, decision.b)
    return (first, second, decision.verdict, decision.note, decision.by, decision.at)


def _text(text: str, field: str) -> str:
    if not storable(text) or len(text) > _MOST:
        raise InvalidInput(
            f"{field}: at most {_MOST:,} characters, without NUL and lone surrogates",
            stage=STAGE,
            field=field,
        )
    return text


def _conflict(verdict: str, author: str, at: str) -> CadmlError:
    return CadmlError(
        f"{author or 'somebody'} has decided {verdict!r} at {at}; ask them, or replace it on purpose",
        code="DECISION_CONFLICT",
        verdict=verdict,
        by=author,
        at=at,
    )
