"""Give every part a vector of another feature version, in batches that can be interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.counts import count_vectors
from cadml_core.catalog.engine import CHUNK, lock, log_changes, upsert
from cadml_core.catalog.exclusion import exclusive
from cadml_core.catalog.packing import length
from cadml_core.catalog.tables import parts, vectors
from cadml_core.clock import Clock, SystemClock, timestamp
from cadml_core.contracts.features import FeatureVersion
from cadml_core.errors import CadmlError, InvalidInput, NotFound
from cadml_core.intake.intake import Intake
from cadml_core.metrics import vector_migrate_dimension_delta, vector_migrate_total
from cadml_core.migration.journal import Journal, MigrationRun
from cadml_core.migration.preview import MigrationPreview, describe, summarise
from cadml_core.migration.sources import FromFiles, Moved, Recomputation, Source, load, missing, rows_among
from cadml_core.plugins.registry import named

STAGE = "migration"
BATCH = 500
"""Parts of one transaction: others wait for it to write, and it is what a crash repeats."""
FILES_BATCH = 50
"""The same where files are read again, which takes some hundred times as long."""
LARGEST_PREVIEW = 1_000
_FAILURES = 100
"""Most failures that a report lists."""
_ORIGIN = {"recomputed": "extracted", "by_name": "migrated"}
"""What the catalogue calls where a vector comes from."""


class MigrationFailure(msgspec.Struct, frozen=True):
    """A part that got no vector, and why."""

    id: str
    reason: str


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration did, or would do."""

    to_version: str
    dry_run: bool
    total: int
    """Parts that lacked the vector."""
    recomputed: int
    """Computed from the stored document summary: exact."""
    by_name: int
    """Without a document: slots moved by name, new ones 0."""
    failed: int
    failures: tuple[MigrationFailure, ...]
    """The first hundred."""


class MigrationStatus(msgspec.Struct, frozen=True):
    """What runs now and what ran before."""

    running: MigrationRun | None
    history: tuple[MigrationRun, ...]
    """The last ten, newest first."""
    versions: dict[str, int]
    """Vectors of each feature version."""


class Migrator:
    """Migrates a catalogue to other feature versions.

    A part keeps the vectors it has, so the version in use stays searchable; to switch, choose the new
    one in the settings once the migration is complete. What lacks the new vector is all the state
    there is: an interrupted migration is resumed by running it again.
    """

    def __init__(self, intake: Intake, clock: Clock | None = None) -> None:
        self._intake = intake
        self._catalog = intake.catalog
        self._features = intake.features
        self._clock = clock or SystemClock()
        self._journal = Journal(lambda: timestamp(self._clock.now()))

    def preview(self, to_version: str, *, limit: int = 100) -> MigrationPreview:
        """Say what a migration would do, from a sample spread evenly over the catalogue.

        Raises:
            NotFound: The version is not installed.
            InvalidInput: The limit is not in 1..1000.
        """
        recomputation = self._towards(to_version)
        if not 1 <= limit <= LARGEST_PREVIEW:
            raise InvalidInput(
                f"limit = {limit} is not possible; allowed: 1 to {LARGEST_PREVIEW}", stage=STAGE, limit=limit
            )
        with self._catalog.database.read() as connection:
            rows = np.array(connection.execute(missing(to_version)).scalars().all(), dtype=np.int64)
            picked = (
                rows[np.unique(np.linspace(0, len(rows) - 1, limit).astype(np.int64))] if len(rows) else rows
            )
            sources = load(connection, rows_among(picked.tolist()))
        slots = {name: len(feature.slots) for name, feature in self._features.items()}
        return summarise(
            describe(sources, recomputation, slots),
            to_version=to_version,
            to_migrate=len(rows),
            by_version=count_vectors(self._catalog),
        )

    def run(
        self,
        to_version: str,
        *,
        ids: Sequence[str] | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> MigrationReport:
        """Give every part that lacks it a vector of this version.

        Args:
            to_version: The feature version.
            ids: Only these parts; all where None.
            dry_run: Compute everything and write nothing.
            progress: Called after each batch with parts done and parts in all.

        Raises:
            NotFound: The version is not installed, or an id is unknown.
            CadmlError: MIGRATION_CONFLICT while another migration runs, in whichever process.
        """
        recomputation = self._towards(to_version)
        chosen = None if ids is None else self._rows_of(ids)
        tally = _Tally(self._features, progress)
        if dry_run:
            self._try_all(recomputation, chosen, tally)
        else:
            with exclusive(self._catalog.database, STAGE) as held:
                if not held:
                    raise CadmlError(
                        "a migration is already running on this catalogue; `cadml migrate status` shows it",
                        code="MIGRATION_CONFLICT",
                    )
                self._migrate_all(recomputation, chosen, tally)
        return tally.report(to_version, dry_run=dry_run)

    def status(self) -> MigrationStatus:
        """Return what runs now and what ran before; what died without a word shows as interrupted."""
        with self._catalog.database.read() as connection:
            runs = self._journal.runs(connection)
        with exclusive(self._catalog.database, STAGE) as idle:
            if idle:
                runs = [
                    msgspec.structs.replace(run, status="interrupted") if run.status == "running" else run
                    for run in runs
                ]
        running = next((run for run in runs if run.status == "running"), None)
        return MigrationStatus(running, tuple(runs), count_vectors(self._catalog))

    def _towards(self, to_version: str) -> Recomputation:
        target = named(self._features, "feature version", to_version, stage=STAGE)
        return Recomputation(self._intake, target)

    def _rows_of(self, ids: Sequence[str]) -> list[int]:
        found = self._catalog.parts_by_id(ids)
        if unknown := [part_id for part_id in ids if part_id not in found]:
            raise NotFound(
                f"no part {unknown[0]!r} in the catalogue"
                + (f", nor {len(unknown) - 1} more" * (len(unknown) > 1)),
                stage=STAGE,
                ids=unknown[:100],
            )
        return sorted(part.row for part in found.values())

    def _try_all(self, recomputation: Recomputation, chosen: list[int] | None, tally: _Tally) -> None:
        name, after = recomputation.target.name, 0
        with self._catalog.database.read() as connection:
            tally.total = _pending(connection, name, chosen)
        while True:
            with self._catalog.database.read() as connection:
                batch = _next(connection, recomputation.target, chosen, after)
            if not batch:
                return
            tally.add(recomputation.move(batch, recomputation.from_files(batch)))
            after = batch[-1].row

    def _migrate_all(self, recomputation: Recomputation, chosen: list[int] | None, tally: _Tally) -> None:
        name = recomputation.target.name
        with self._catalog.database.write() as connection:
            tally.total = _pending(connection, name, chosen)
            run = self._journal.begin(connection, name, tally.total)
        after: int | None = 0
        while after is not None:
            after = self._migrate_batch(recomputation, chosen, after, run, tally)
        with self._catalog.database.write() as connection:
            self._journal.finish(connection, run)

    def _migrate_batch(
        self, recomputation: Recomputation, chosen: list[int] | None, after: int, run: int, tally: _Tally
    ) -> int | None:
        """Migrate the next parts; returns the last row, None where there was none.

        Read, computed and written in one transaction, so that no part can change or go in between. Files are
        read before it: that takes too long to hold up every other writer.
        """
        name, from_files = recomputation.target.name, self._from_files(recomputation, chosen, after)
        with self._catalog.database.write() as connection:
            numbers = lock(connection)
            batch = _next(connection, recomputation.target, chosen, after)
            if not batch:
                return None
            moved = recomputation.move(batch, from_files)
            rows = [
                (name, one.source.row, _ORIGIN[one.method], one.raw) for one in moved if one.raw is not None
            ]
            if rows:
                upsert(connection, vectors, rows)
                log_changes(connection, numbers, [str(row) for _, row, *_ in rows])
            self._journal.advance(connection, run, tally.after(moved))
        tally.add(moved)
        tally.record(moved)
        return batch[-1].row

    def _from_files(self, recomputation: Recomputation, chosen: list[int] | None, after: int) -> FromFiles:
        """Read the files of the next parts again, where the target needs that."""
        if not recomputation.target.needs_mesh:
            return {}
        with self._catalog.database.read() as connection:
            batch = _next(connection, recomputation.target, chosen, after)
        return recomputation.from_files(batch)


def _pending(connection: Connection, to_version: str, chosen: list[int] | None) -> int:
    wanted = missing(to_version).order_by(None)
    if chosen is None:
        return _count(connection, wanted)
    chunks = (chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK))
    return sum(_count(connection, wanted.where(parts.c.row.in_(chunk))) for chunk in chunks)


def _count(connection: Connection, rows: sa.Select[tuple[int]]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(rows.subquery())).scalar_one())


def _next(
    connection: Connection, target: FeatureVersion, chosen: list[int] | None, after: int
) -> list[Source]:
    """Read the next batch of parts that lack the target; nothing where none is left."""
    wanted, size = missing(target.name), FILES_BATCH if target.needs_mesh else BATCH
    if chosen is None:
        return load(connection, wanted.where(parts.c.row > after).limit(size))
    rest = [row for row in chosen if row > after]
    for start in range(0, len(rest), size):
        if found := load(connection, wanted.where(parts.c.row.in_(rest[start : start + size]))):
            return found
    return []


class _Tally:
    """Counts what became of the parts."""

    def __init__(
        self, features: Mapping[str, FeatureVersion], progress: Callable[[int, int], None] | None
    ) -> None:
        self.total = 0
        self._counts: Counter[str] = Counter()
        self._failures: list[MigrationFailure] = []
        self._slots = {name: len(feature.slots) for name, feature in features.items()}
        self._progress = progress

    def after(self, moved: Sequence[Moved]) -> dict[str, int]:
        """The counts as they will be with these."""
        counts = self._counts + Counter(one.method for one in moved)
        return {method: counts[method] for method in ("recomputed", "by_name", "failed")}

    def add(self, moved: Sequence[Moved]) -> None:
        """Count these."""
        self._counts.update(one.method for one in moved)
        for one in moved:
            if one.method == "failed" and len(self._failures) < _FAILURES:
                self._failures.append(MigrationFailure(one.source.id, one.reason or "unknown"))
        if self._progress is not None:
            self._progress(self._counts.total(), self.total)

    def record(self, moved: Sequence[Moved]) -> None:
        """Count these in the metrics, once they are written."""
        for one in moved:
            vector_migrate_total.labels(status=one.method).inc()
            if one.raw is not None and one.from_version is not None:
                vector_migrate_dimension_delta.observe(length(one.raw) - self._slots[one.from_version])

    def report(self, to_version: str, *, dry_run: bool) -> MigrationReport:
        """Put the report together."""
        return MigrationReport(
            to_version=to_version,
            dry_run=dry_run,
            total=self.total,
            recomputed=self._counts["recomputed"],
            by_name=self._counts["by_name"],
            failed=self._counts["failed"],
            failures=tuple(self._failures),
        )
