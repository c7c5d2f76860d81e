"""Work that goes on after its request was answered: searches for duplicates, one at a time."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future

from cadml_core.errors import CadmlError
from cadml_core.runtime import Runtime

log = logging.getLogger(__name__)


class DuplicateJobs:
    """Starts searches for duplicates in a thread of their own, and ends them with the application."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._threads: dict[int, threading.Thread] = {}

    def start(self, *, meshes: bool) -> int:
        """Start a search; returns the id of its run once that is in the journal.

        Raises:
            CadmlError: DUPLICATES_CONFLICT while one works, in whichever process.
        """
        begun: Future[int] = Future()
        thread = threading.Thread(target=self._run, args=(meshes, begun), name="cadml-duplicates")
        thread.start()
        run = begun.result()
        with self._lock:
            self._threads = {number: one for number, one in self._threads.items() if one.is_alive()}
            self._threads[run] = thread
        return run

    def close(self) -> None:
        """Ask what works to stop, and wait for it; what it has compared is kept."""
        with self._lock:
            threads = dict(self._threads)
        for run, thread in threads.items():
            if thread.is_alive():
                try:
                    self._runtime.duplicates.cancel(run)
                except CadmlError:
                    log.exception("the search for duplicates %d cannot be asked to stop", run)
            thread.join()

    def _run(self, meshes: bool, begun: Future[int]) -> None:
        try:
            self._runtime.duplicates.run(meshes=meshes, started=begun.set_result)
        except Exception as error:
            if begun.done():
                log.exception("a search for duplicates failed")
            else:
                begun.set_exception(error)
