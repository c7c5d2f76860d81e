"""What the routes work with: the runtime, and threads for what would block the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from cadml_core.errors import CadmlError
from cadml_core.intake.prune import remove_parts
from cadml_core.isolation.inspection import Layer, inspect
from cadml_core.runtime import Runtime
from cadml_hostapp.http.middleware import RequestThreads
from cadml_hostapp.http.searching import Searcher
from cadml_hostapp.jobs import DuplicateJobs

log = logging.getLogger(__name__)
T = TypeVar("T")

_READERS, _WRITERS, _LOADERS = 4, 4, 2
_CHECK_SECONDS = 2.0
"""Longest wait of a health check for the catalogue."""


class Services:
    """One application's services. Reads and writes have threads of their own: a search never waits
    behind writers who wait for one another's database lock. So has the loading of models, which may hang."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.feature = runtime.feature
        self.max_file_bytes = runtime.settings.max_file_bytes
        self.readers = RequestThreads(_READERS, "cadml-read")
        self.writers = RequestThreads(_WRITERS, "cadml-write")
        self.loaders = RequestThreads(_LOADERS, "cadml-load")
        self.checkers = RequestThreads(1, "cadml-check")
        self._check: asyncio.Future[str] | None = None
        self.jobs = DuplicateJobs(runtime)
        self.searcher = Searcher(runtime, self.readers)
        self.started = time.monotonic()
        self._stopping = False
        self.warm = False
        """True once the index has caught up for the first time."""
        self.sandbox: tuple[Layer, ...] | None = None
        """Which rights confined processes lose here; None until it was tried out."""

    async def read(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run something that only reads, in a thread."""
        return await self._run(self.readers, call, *arguments, **options)

    async def write(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run something that may change the catalogue, in a thread."""
        return await self._run(self.writers, call, *arguments, **options)

    async def load(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Run something that waits for a model, in a thread."""
        return await self._run(self.loaders, call, *arguments, **options)

    async def _run(
        self, pool: ThreadPoolExecutor, call: Callable[..., T], *arguments: Any, **options: Any
    ) -> T:
        bound = partial(call, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(pool, bound)

    async def catalogue_state(self) -> str:
        """Return ``ok``, the code of what keeps the catalogue from answering, or that it has not answered.

        There is one question at a time, in a thread of its own, and nobody waits for it for long: a health
        check must answer when everything else waits for the database.
        """
        if self._check is None or self._check.done():
            loop = asyncio.get_running_loop()
            self._check = loop.run_in_executor(self.checkers, self._ask_catalogue)
        done, _ = await asyncio.wait({self._check}, timeout=_CHECK_SECONDS)
        return done.pop().result() if done else "no answer"

    def _ask_catalogue(self) -> str:
        try:
            self.runtime.catalog.require_available()
        except CadmlError as error:
            return error.code
        return "ok"

    def remove_part(self, part_id: str) -> None:
        """Delete a part, and its file where no other part has the same content.

        Raises:
            NotFound: There is no such part.
        """
        remove_parts(self.runtime.intake, [self.runtime.catalog.part(part_id)])

    def open(self) -> None:
        """Remove what a killed server left; begin to start the readers and to build the index."""
        self.runtime.blobs.sweep()
        self.runtime.readers.allow_reading(self.runtime.blobs.incoming)
        self.runtime.readers.share()
        self.runtime.readers.start()
        if self.runtime.settings.server_workers == 1:  # else the supervisor has done so
            self.runtime.cache.tuning.forget_snapshot()
        self.runtime.cache.start_following()
        self.runtime.indexes.start_following()
        self.readers.submit(self.runtime.models.start_following)
        self.readers.submit(self.warm_up)
        self.readers.submit(self.inspect_sandbox)

    def inspect_sandbox(self) -> None:
        """Find out what the kernel offers to confine readers and models with; log what it does not."""
        self.sandbox = inspect()
        for layer in self.sandbox:
            if not layer.active:
                log.warning("readers and models keep a right: %s (%s)", layer.means, layer.detail)

    def warm_up(self) -> None:
        """Build the index, so that the first search need not."""
        feature = self.runtime.feature
        self.runtime.search.by_values([0.0] * len(feature.slots), k=1)
        self.warm = True

    def stop_loading(self) -> None:
        """Break off the loading of models, without waiting. Calling it again does nothing more."""
        if not self._stopping:
            self._stopping = True
            threading.Thread(target=self.runtime.models.registry.stop_loading, daemon=True).start()

    def close(self) -> None:
        """Finish what was begun, but for models, which are ended; then close everything."""
        self.runtime.models.close()
        self.jobs.close()
        for threads in (self.loaders, self.readers, self.writers, self.checkers):
            threads.shutdown()
        self.runtime.close()


ServicesDependency = NamedDependency[SkipValidation[Services]]
