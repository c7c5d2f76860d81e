"""Runs over the catalogue: each new content is compared with those that it may be the same as."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from cadml_core.catalog.engine import Database
from cadml_core.catalog.exclusion import exclusive
from cadml_core.catalog.invariants import invariants_among
from cadml_core.clock import Clock, SystemClock, timestamp
from cadml_core.duplicates.blocks import Blocks, Entry
from cadml_core.duplicates.journal import Journal, Run, RunStatus
from cadml_core.duplicates.judging import Judge
from cadml_core.duplicates.links import Compared, Links, basis
from cadml_core.duplicates.pending import forget_outdated, pending
from cadml_core.errors import CadmlError
from cadml_core.intake.intake import Intake
from cadml_core.metrics import duplicate_pairs_total, duplicate_runs_total
from cadml_core.relations.relation import Relation

STAGE = "duplicates"
_READ = 2_000
"""Contents whose invariants are in memory at once."""
_SECONDS = 2.0
"""So long at most after what is found is written, and a wish to cancel is seen."""
Progress = Callable[[int, int], None]


class DuplicateFinder:
    """Compares the contents of a catalogue, each once.

    What was compared is remembered, so that a run costs by what is new, and one that was interrupted goes
    on where it was. One run at a time, in whichever process.
    """

    def __init__(self, intake: Intake, clock: Clock | None = None) -> None:
        self._intake = intake
        self._catalog = intake.catalog
        self._links = Links(intake.catalog)
        self._clock = clock or SystemClock()
        self._journal = Journal(lambda: timestamp(self._clock.now()))

    def run(
        self,
        *,
        meshes: bool = True,
        progress: Progress | None = None,
        started: Callable[[int], None] | None = None,
    ) -> Run:
        """Compare what has not been compared.

        Args:
            meshes: Whether to read meshes where only they can decide: up to a second a pair.
            progress: Called with contents done and contents in all.
            started: Called with the id of the run once it has one.

        Raises:
            CadmlError: DUPLICATES_CONFLICT while another run works, in whichever process.
        """
        with exclusive(self._catalog.database, STAGE) as held:
            if not held:
                raise CadmlError(
                    "a search for duplicates is already running on this catalogue;"
                    " `cadml duplicates runs` shows it",
                    code="DUPLICATES_CONFLICT",
                )
            return self._run(meshes, progress or (lambda *_: None), started or (lambda _: None))

    def runs(self) -> list[Run]:
        """Return the last runs, newest first; what died without a word shows as interrupted."""
        with self._catalog.database.read() as connection:
            found = self._journal.runs(connection)
        with exclusive(self._catalog.database, STAGE) as idle:
            if not idle:
                return found
        return [
            msgspec.structs.replace(run, status="interrupted") if run.status == "running" else run
            for run in found
        ]

    def cancel(self, run: int) -> Run:
        """Ask a run to stop; it does within seconds, whichever process it is in.

        Raises:
            NotFound: There is no such run.
        """
        with self._catalog.database.write() as connection:
            self._journal.cancel(connection, run)
            return self._journal.run(connection, run)

    def waiting(self) -> int:
        """Return how many contents have not been compared."""
        return len(pending(self._catalog))

    def _run(self, meshes: bool, progress: Progress, started: Callable[[int], None]) -> Run:
        change = self._catalog.last_change()
        with self._catalog.database.read() as connection:
            covered = self._journal.covered(connection)
        forget_outdated(self._catalog, self._links, covered, meshes=meshes)
        waiting = self._in_order(pending(self._catalog))
        with self._catalog.database.write() as connection:
            run = self._journal.begin(connection, total=len(waiting), meshes=meshes, change=change)
        started(run)
        done = self._compare(waiting, run, meshes, progress)
        status: RunStatus = "completed" if done else "cancelled"
        with self._catalog.database.write() as connection:
            self._journal.finish(connection, run, status)
            found = self._journal.run(connection, run)
        duplicate_runs_total.labels(status=status).inc()
        return found

    def _in_order(self, hashes: Sequence[str]) -> list[str]:
        """Put surfaces before facets, so that meshes are compared with what they were made of."""
        query = "SELECT sha256, format FROM contents WHERE sha256 IN"
        found = self._catalog.database.fetch_in(query, hashes)
        return [sha256 for _, sha256 in sorted((form not in _SURFACES, sha256) for sha256, form in found)]

    def _compare(self, waiting: Sequence[str], run: int, meshes: bool, progress: Progress) -> bool:
        """Compare contents; tells whether all of them, or somebody asked to stop."""
        batch = _Batch(self._catalog.database, self._links, self._journal, run)
        if not waiting:
            return True
        blocks = Blocks(self._links.stored())
        judge = Judge(self._intake, blocks, meshes=meshes)
        progress(0, len(waiting))
        for sha256, read_by, entry in self._entries(waiting):
            judged = judge.judge(sha256, entry)
            blocks.add(sha256, entry, judged.role)
            batch.add(
                Compared(sha256, read_by, entry, judged.role, judged.unread), judged.links, judged.pairs
            )
            if batch.due() and batch.write():
                return False
            progress(batch.done, len(waiting))
        return not batch.write() or batch.done == len(waiting)

    def _entries(self, waiting: Sequence[str]) -> Iterator[tuple[str, str, Entry]]:
        """Yield what each content is found by, and what that rests on; those that are gone are left out."""
        for start in range(0, len(waiting), _READ):
            chunk = waiting[start : start + _READ]
            readers = self._catalog.readers_of(chunk)
            found = invariants_among(self._catalog, chunk)
            for sha256 in chunk:
                if sha256 in readers and sha256 in found:
                    yield sha256, basis(*readers[sha256]), Entry.of(found[sha256])


_SURFACES = ("step", "iges")
"""Formats whose files are likely to hold surfaces; a guess that only the order rests on."""


class _Batch:
    """Collects what was compared, and writes it in one transaction."""

    def __init__(self, database: Database, links: Links, journal: Journal, run: int) -> None:
        self._database, self._links, self._journal, self._run = database, links, journal, run
        self._rows: list[Compared] = []
        self._new: dict[tuple[str, str], Relation] = {}
        self.done = self._pairs = self._found = 0
        self._written = time.monotonic()

    def add(self, row: Compared, new: dict[tuple[str, str], Relation], pairs: int) -> None:
        self._rows.append(row)
        self._new |= new
        self.done, self._pairs, self._found = self.done + 1, self._pairs + pairs, self._found + len(new)
        duplicate_pairs_total.inc(pairs)

    def due(self) -> bool:
        return time.monotonic() - self._written > _SECONDS

    def write(self) -> bool:
        """Write; tells whether somebody asked to stop."""
        with self._database.write() as connection:
            self._links.write(connection, self._rows, self._new)
            stop = self._journal.advance(
                connection, self._run, done=self.done, pairs=self._pairs, links=self._found
            )
        self._rows, self._new, self._written = [], {}, time.monotonic()
        return stop
