"""The journal of migrations: what runs, how far it is, and the last ten that ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.tables import migrations

KEPT = 10

RunStatus = Literal["running", "completed", "interrupted"]
"""``interrupted``: its process ended, or the database failed; what it committed is there."""


class MigrationRun(msgspec.Struct, frozen=True, kw_only=True):
    """One migration."""

    id: int
    to_version: str
    status: RunStatus
    total: int
    """Parts that lacked the vector when it began."""
    recomputed: int
    by_name: int
    failed: int
    started: str
    updated: str
    finished: str | None


class Journal:
    """Writes and reads the table of migrations within the caller's transactions."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now

    def begin(self, connection: Connection, to_version: str, total: int) -> int:
        """Note a new run; one that claims to run still has died. Returns the new run's id."""
        connection.execute(
            migrations.update().where(migrations.c.status == "running").values(status="interrupted")
        )
        last = connection.execute(sa.select(sa.func.max(migrations.c.id))).scalar() or 0
        now = self._now()
        connection.execute(
            migrations.insert().values(
                id=last + 1,
                to_version=to_version,
                status="running",
                total=total,
                recomputed=0,
                by_name=0,
                failed=0,
                started=now,
                updated=now,
            )
        )
        connection.execute(migrations.delete().where(migrations.c.id <= last + 1 - KEPT))
        return int(last + 1)

    def advance(self, connection: Connection, run: int, counts: dict[str, int]) -> None:
        """Note how far a run is."""
        connection.execute(
            migrations.update().where(migrations.c.id == run).values(updated=self._now(), **counts)
        )

    def finish(self, connection: Connection, run: int) -> None:
        """Note that a run is over."""
        now = self._now()
        connection.execute(
            migrations.update()
            .where(migrations.c.id == run)
            .values(status="completed", updated=now, finished=now)
        )

    def runs(self, connection: Connection) -> list[MigrationRun]:
        """Return the last runs, newest first."""
        records = connection.execute(sa.select(migrations).order_by(migrations.c.id.desc())).all()
        return [MigrationRun(**record._mapping) for record in records]
