"""What the routes work with: the runtime, and threads for what would block the event loop."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from cadml_core import metrics
from cadml_core.analysis import Analysis, AnalysisOptions, Facts, Stopwatch
from cadml_core.errors import CadmlError
from cadml_core.intake.intake import Known, SourceFile, known_from
from cadml_core.reading.detection import HEAD_BYTES
from cadml_core.reading.identity import identity_of
from cadml_core.runtime import Runtime
from cadml_hostapp.http.searching import Searcher
from cadml_hostapp.http.uploads import UploadedFile

T = TypeVar("T")

_READERS, _WRITERS = 4, 4


class Services:
    """One application's services. Reads and writes have threads of their own: a search never waits
    behind writers who wait for one another's database lock."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.feature = runtime.feature
        self.max_file_bytes = runtime.settings.max_file_bytes
        self._readers = ThreadPoolExecutor(_READERS, "cadml-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "cadml-write")
        self.searcher = Searcher(runtime, self._readers)
        self.started = time.monotonic()
        self.warm = False
        """True once the index has caught up for the first time."""

    async def read(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run something that only reads, in a thread."""
        return await self._run(self._readers, call, *arguments, **options)

    async def write(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run something that may change the catalogue, in a thread."""
        return await self._run(self._writers, call, *arguments, **options)

    async def _run(
        self, pool: ThreadPoolExecutor, call: Callable[..., T], *arguments: Any, **options: Any
    ) -> T:
        bound = functools.partial(call, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(pool, bound)

    async def analyze(self, file: UploadedFile, facts: Facts, options: AnalysisOptions) -> Analysis:
        """Analyse one received file. While it is read, no thread waits for it.

        Raises:
            CadmlError: Whatever refuses the file; nothing of it is stored then.
        """
        stopwatch = Stopwatch()
        try:
            known = await self._known(file, stopwatch)
            analysis = await self.write(
                self.runtime.analyzer.finish, file.incoming, file.name, known, facts, options, stopwatch
            )
        except CadmlError as error:
            _rename(error, file)
            metrics.analysis_requests_total.labels(status="error").inc()
            metrics.analysis_errors_total.labels(stage=error.stage, code=error.code).inc()
            raise
        metrics.analysis_requests_total.labels(status="success").inc()
        return analysis

    async def _known(self, file: UploadedFile, stopwatch: Stopwatch) -> Known:
        if file.error is not None:
            raise file.error
        analyzer, source = self.runtime.analyzer, _source_file(file)
        # The query takes less time than going to a thread, unless it has to cross a network.
        new = self.runtime.catalog.local and analyzer.surely_new(source)
        known = None if new else await self.write(analyzer.recognise, source)
        stopwatch.lap("recognise")
        if known is None:
            reading = await asyncio.wrap_future(analyzer.read(source))
            stopwatch.lap("read_and_extract")
            stopwatch.note("extract", sum(reading.extract_seconds.values()))
            known = known_from(reading)
        return known

    def remove_part(self, part_id: str) -> None:
        """Delete a part, and its file where no other part has the same content.

        Raises:
            NotFound: There is no such part.
        """
        catalog = self.runtime.catalog
        sha256 = catalog.part(part_id).sha256
        catalog.remove(part_id)
        if sha256 is not None:
            self.runtime.blobs.discard([sha256])

    def open(self) -> None:
        """Remove what a killed server left; begin to start the readers and to build the index."""
        self.runtime.blobs.sweep()
        self.runtime.readers.start()
        self._readers.submit(self.runtime.models.start_following)
        self._readers.submit(self.warm_up)

    def warm_up(self) -> None:
        """Build the index, so that the first search need not."""
        feature = self.runtime.feature
        self.runtime.search.by_values([0.0] * len(feature.slots), k=1)
        self.warm = True

    def close(self) -> None:
        """Finish what was begun, then close everything."""
        self._readers.shutdown()
        self._writers.shutdown()
        self.runtime.close()


ServicesDependency = NamedDependency[SkipValidation[Services]]


def _source_file(file: UploadedFile) -> SourceFile:
    """Describe a received file; it was hashed while it came in."""
    incoming = file.incoming
    with incoming.path.open("rb") as opened:
        identity = identity_of(incoming.sha256, os.fstat(opened.fileno()))
        return SourceFile(incoming.path, identity, opened.read(HEAD_BYTES))


def _rename(error: CadmlError, file: UploadedFile) -> None:
    """Call the file what the client called it, not by its temporary name."""
    path = file.incoming.path
    for known in (str(path), path.name):
        error.message = error.message.replace(known, file.name)
        for key, value in error.context.items():
            if isinstance(value, str):
                error.context[key] = value.replace(known, file.name)
