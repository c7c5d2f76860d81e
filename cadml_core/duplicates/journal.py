"""The journal of runs: what is compared, how far it is, whether it is to stop, and the last ten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.tables import duplicate_runs as runs
from cadml_core.errors import NotFound
from cadml_core.relations.relation import RULES

KEPT = 10

RunStatus = Literal["running", "completed", "cancelled", "interrupted"]
"""``interrupted``: its process ended, or the database failed. What was compared stays; the next goes on."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run over the catalogue."""

    id: int
    status: RunStatus
    total: int
    """Contents that were to be compared when it began."""
    done: int
    pairs: int
    """Pairs that were compared, out of all that there are."""
    links: int
    """Pairs that are something to one another, or may be."""
    meshes: bool
    """Whether meshes were read where only they decide."""
    started: str
    updated: str
    finished: str | None


class Journal:
    """Writes and reads the table of runs within the caller's transactions."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now

    def begin(self, connection: Connection, *, total: int, meshes: bool, change: int) -> int:
        """Note a new run; one that claims to run still has died. Returns the new run's id."""
        connection.execute(runs.update().where(runs.c.status == "running").values(status="interrupted"))
        last = connection.execute(sa.select(sa.func.max(runs.c.id))).scalar() or 0
        now = self._now()
        counts = dict.fromkeys(("done", "pairs", "links", "cancelled"), 0)
        connection.execute(
            runs.insert().values(
                id=last + 1,
                status="running",
                total=total,
                meshes=int(meshes),
                rules=RULES,
                change=change,
                started=now,
                updated=now,
                **counts,
            )
        )
        # The last that was completed says from where changes are to be looked at.
        completed = connection.execute(
            sa.select(sa.func.max(runs.c.id)).where(runs.c.status == "completed")
        ).scalar()
        connection.execute(runs.delete().where(runs.c.id <= last + 1 - KEPT, runs.c.id != (completed or 0)))
        return int(last + 1)

    def advance(self, connection: Connection, run: int, *, done: int, pairs: int, links: int) -> bool:
        """Note how far a run is; tells whether somebody asked it to stop."""
        connection.execute(
            runs.update()
            .where(runs.c.id == run)
            .values(updated=self._now(), done=done, pairs=pairs, links=links)
        )
        return bool(connection.execute(sa.select(runs.c.cancelled).where(runs.c.id == run)).scalar())

    def finish(self, connection: Connection, run: int, status: RunStatus) -> None:
        """Note that a run is over."""
        now = self._now()
        connection.execute(
            runs.update().where(runs.c.id == run).values(status=status, updated=now, finished=now)
        )

    def cancel(self, connection: Connection, run: int) -> None:
        """Ask a run to stop after what it is at; one that is over stays as it is.

        Raises:
            NotFound: There is no such run, or no longer.
        """
        self.run(connection, run)
        connection.execute(
            runs.update().where(runs.c.id == run, runs.c.status == "running").values(cancelled=1)
        )

    def run(self, connection: Connection, run: int) -> Run:
        """Return a run.

        Raises:
            NotFound: There is no such run, or no longer.
        """
        for found in self.runs(connection):
            if found.id == run:
                return found
        raise NotFound(f"no run {run} of duplicates; the last {KEPT} are kept", stage="duplicates", id=run)

    def runs(self, connection: Connection) -> list[Run]:
        """Return the last runs, newest first."""
        records = connection.execute(sa.select(runs).order_by(runs.c.id.desc())).mappings().all()
        names = Run.__struct_fields__
        return [
            Run(**{name: record[name] for name in names} | {"meshes": bool(record["meshes"])})
            for record in records
        ]

    def covered(self, connection: Connection) -> int | None:
        """Return up to which change the last completed run compared; None where none has, by our rules."""
        query = sa.select(runs.c.change).where(runs.c.status == "completed", runs.c.rules == RULES)
        found = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).scalar()
        return None if found is None else int(found)
