"""The pool of reader processes: untrusted files are read there, within limits of time and memory."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from pathlib import Path

import msgspec

from cadml_core import metrics
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, MeshRequest, ReadLimits, UnitName
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.documents.drawn import DrawingKind
from cadml_core.errors import CadmlError, ReaderTimeout
from cadml_core.isolation.ends import ProtocolError, SandboxError, StartFailed, TimeLimitExceeded, WorkerDied
from cadml_core.isolation.limits import MIB, Limits
from cadml_core.isolation.processes import WorkerSpec
from cadml_core.isolation.protocol import distrusted, error_of
from cadml_core.isolation.workers import OwnWorker, WorkerPool
from cadml_core.plugins.pickling import pickled
from cadml_core.reading.detection import detect
from cadml_core.reading.drawing import undrawn
from cadml_core.reading.failures import cannot_start, failure, out_of_memory
from cadml_core.reading.identity import FileIdentity
from cadml_core.reading.program import ReaderProgram, Task
from cadml_core.reading.reading import Reading, feature_version, require_plausible
from cadml_core.reading.recording import PoolStatistics, record
from cadml_core.reading.steps import DRAW_STEP

log = logging.getLogger(__name__)

_readings = msgspec.msgpack.Decoder(Reading)
_QUICK_SECONDS = 0.25
"""Reading that takes longer makes room for others, where readers are shared."""
_CAUSED_BY_THE_FILE = (TimeLimitExceeded, WorkerDied, ProtocolError)
"""How a worker ends because of its file."""


class ReaderPool:
    """Reads files in worker processes: one queue, ``workers`` threads, one process for each thread.

    A thread owns its process, so a process that dies, hangs or grows affects only the file that it
    was reading. Processes start at the first file, or at ``start()``; one that ended is replaced when the
    next file comes. Every failure arrives as a ``CadmlError``. Thread-safe.

    The adapters and feature versions are sent by pickle, once: their classes must be importable. An
    adapter may name, in an attribute ``preload``, modules that are imported once for all workers.

    Args:
        formats: The format adapters by name, ``registry.formats``. Only these are imported by the
            readers, so a caller who knows the format may pass just that one.
        features: The feature versions by name, ``registry.features``.
        limits: What one file may cost.
        workers: How many files are read at the same time; at least 1.
        pictures: The picture makers by name, ``registry.pictures``.
        draws: What is drawn of every file that comes in; callers pass it on as ``draw``.

    Raises:
        PluginUnavailable: A plugin cannot be sent to another process.
    """

    def __init__(
        self,
        formats: Mapping[str, FormatAdapter],
        features: Mapping[str, FeatureVersion],
        *,
        limits: ReadLimits,
        workers: int,
        pictures: Mapping[str, PictureMaker] | None = None,
        draws: Sequence[DrawingKind] = (),
    ) -> None:
        self.limits = limits
        self._formats = formats
        self._features = features
        self.pictures = pictures or {}
        self.draws = tuple(draws)
        program = ReaderProgram(pickled(formats, features, pictures), limits)
        allowed = Limits(
            seconds=limits.max_seconds,
            memory=limits.max_memory_mb * MIB,
            request_cpu_seconds=limits.max_cpu_seconds,
        )
        self._suffixes = {suffix: name for name, found in formats.items() for suffix in found.suffixes}
        self._pool = WorkerPool(
            WorkerSpec(program=program, limits=allowed), workers=workers, name="cadml-reader"
        )
        self.workers = self._pool.size
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("crashed", "timed_out", "retired", "read", "refused"), 0)

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self, *, wait: bool = False) -> None:
        """Begin to import the plugins in the background, so that the first file need not wait.

        Args:
            wait: Return only once files can be read.

        Raises:
            PluginUnavailable: The readers cannot be started (with ``wait`` only).
            RuntimeError: The pool is closed, or was made in another process before a fork.
        """
        self._pool.require_usable()
        try:
            server = self._pool.processes.server()
            if wait:
                server.await_ready()
        except StartFailed as error:
            raise cannot_start(error) from error

    def allow_reading(self, folder: Path) -> None:
        """Let the readers open everything in a folder, so that none is replaced for each of its files.

        Without it they may open only the files that they are given.
        """
        self._pool.processes.allow_reading(os.path.realpath(folder))

    def share(self) -> None:
        """Let files that take long to read not keep others waiting: for servers, before the first file."""
        self._pool.share(_QUICK_SECONDS)

    def submit(
        self,
        path: Path,
        versions: Sequence[str] = (),
        *,
        identity: FileIdentity | None = None,
        adapter: str | None = None,
        mesh: MeshRequest | None = None,
        unit: UnitName | None = None,
        draw: Sequence[DrawingKind] = (),
    ) -> Future[Reading]:
        """Queue one file.

        Args:
            path: The file; a relative one is taken from the working folder as it is now.
            versions: The feature versions to extract.
            identity: What the file was when it was hashed; it is hashed again only if it has changed since.
            adapter: The name of the format adapter, where it is known: content and suffix are not asked.
            mesh: Return the mesh as well, within these bounds.
            unit: What the sender says of a file that states no unit.
            draw: The pictures and models wanted; one that cannot be made costs nothing else.

        Returns:
            A future that fails with a ``CadmlError`` only. It can be cancelled until a worker takes
            it; closing the pool cancels what is queued. The queue is unbounded: for many files use
            ``map``.

        Raises:
            RuntimeError: The pool is closed, or was made in another process before a fork.
        """
        task = Task(
            path=os.fsencode(os.path.abspath(path)),  # noqa: PTH100 (takes ".." out)
            versions=tuple(versions),
            identity=identity,
            adapter=adapter,
            mesh=mesh,
            unit=unit,
            draw=tuple(draw),
        )
        if not all(name in self._features for name in versions):
            return self._refused(versions)
        context = copy_context()  # log lines about the file carry the id of the request
        return self._pool.submit(lambda worker: context.run(self._recorded, worker, task), self._kind(task))

    def read(
        self,
        path: Path,
        versions: Sequence[str] = (),
        *,
        identity: FileIdentity | None = None,
        adapter: str | None = None,
        mesh: MeshRequest | None = None,
        unit: UnitName | None = None,
        draw: Sequence[DrawingKind] = (),
    ) -> Reading:
        """Read one file and wait for it; the arguments are those of ``submit``.

        Raises:
            CadmlError: As ``read_file``, and PARSE_TIMEOUT, PARSE_CRASHED for the limits that only a
                process of its own can enforce.
        """
        future = self.submit(
            path, versions, identity=identity, adapter=adapter, mesh=mesh, unit=unit, draw=draw
        )
        return future.result()

    def map(
        self,
        paths: Iterable[Path],
        versions: Sequence[str] = (),
        *,
        adapters: Mapping[Path, str] | None = None,
        units: Mapping[Path, UnitName | None] | None = None,
    ) -> Iterator[tuple[Path, Reading | CadmlError]]:
        """Read many files; yields each with its reading or its error, in the order of completion.

        ``paths`` is consumed as fast as files are read, a few ahead of the workers, so it may have any
        length. When the iteration is abandoned, the files that no worker has taken are cancelled.
        """
        pending: dict[Future[Reading], Path] = {}
        source = iter(paths)
        exhausted = False
        try:
            while True:
                while not exhausted and len(pending) < 2 * self.workers + 2:
                    path = next(source, None)
                    if path is None:
                        exhausted = True
                    else:
                        adapter = adapters[path] if adapters else None
                        self.allow_reading(path.parent)
                        unit = units[path] if units else None
                        pending[self.submit(path, versions, adapter=adapter, unit=unit)] = path
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(future), _outcome(future)
        finally:
            for future in pending:
                future.cancel()

    @property
    def statistics(self) -> PoolStatistics:
        """What the pool has done so far."""
        with self._lock:
            return PoolStatistics(
                workers=self.workers,
                alive=self._pool.processes.alive,
                started=self._pool.processes.started,
                server_pid=self._pool.processes.server_pid,
                **self._counts,
            )

    def close(self) -> None:
        """End all reader processes and remove their temporary files; closing twice is allowed.

        Files that are still queued are cancelled; those being read fail.
        """
        self._pool.close()

    def _kind(self, task: Task) -> Hashable:
        """Return what files have in common that take about as long: the format claimed, and the size."""
        suffix = os.path.splitext(os.fsdecode(task.path))[1].lower()  # noqa: PTH122 (for each file)
        size = task.identity.size if task.identity else 0
        return task.adapter or self._suffixes.get(suffix), size.bit_length()

    def _refused(self, versions: Sequence[str]) -> Future[Reading]:
        """Say which feature version there is not."""
        future: Future[Reading] = Future()
        try:
            for name in versions:
                feature_version(self._features, name)
        except CadmlError as error:
            future.set_exception(error)
        return future

    def _recorded(self, worker: OwnWorker, task: Task) -> Reading:
        """Read a file, in a thread of the pool, and record how that went."""
        try:
            reading = self._read(worker, task)
        except CadmlError as error:
            self._count("refused")
            named = error.context.get("format")
            known = str(named) if named in self._formats else "unknown"
            metrics.parse_failures_total.labels(format=known, code=error.code).inc()
            raise
        # Callers are promised a CadmlError; whatever else is raised here is a fault of the host.
        except Exception as error:
            log.exception("reading %s failed in the host", task.name)
            raise CadmlError(
                f"reading {task.name} failed: {type(error).__name__}: {error}", stage="parse"
            ) from error
        self._count("read")
        record(reading)
        return reading

    def _read(self, worker: OwnWorker, task: Task) -> Reading:
        try:
            real = os.path.realpath(os.fsdecode(task.path))
            answer = worker.ask(msgspec.msgpack.encode(task), reads=real)
            if answer.retires:
                self._count("retired")
            if answer.body is not None:
                return self._decoded(answer.body, task)
        except SandboxError as error:
            told = failure(task, error, self.limits)
            if not isinstance(error, _CAUSED_BY_THE_FILE):
                raise told from error
            worker.discard()  # one that sent an invalid reading still runs
            self._count("timed_out" if isinstance(told, ReaderTimeout) else "crashed")
            if told.context.get("during") == DRAW_STEP:
                return self._undrawn(worker, task, told)
            raise self._named(task, told) from None
        if answer.failure is None:
            raise self._named(task, out_of_memory(task, self.limits))
        if answer.failure.traceback:
            log.warning("reading %s: %s", task.name, answer.failure.traceback)
        raise error_of(answer.failure)

    def _undrawn(self, worker: OwnWorker, task: Task, error: CadmlError) -> Reading:
        """Read a file again without drawing it, as a reader process ended while it drew."""
        log.warning("%s has no picture: %s", task.name, error.message)
        reading = self._read(worker, msgspec.structs.replace(task, draw=()))
        drawn = undrawn(task.draw, self.pictures, reading.format, error.message)
        return msgspec.structs.replace(reading, drawn=drawn)

    def _decoded(self, body: bytes, task: Task) -> Reading:
        """Return what a worker, which its file may have taken over, says it has read."""
        try:
            reading = distrusted(body, _readings)
            require_plausible(
                reading,
                Path(os.fsdecode(task.path)),
                formats=self._formats,
                features=self._features,
                versions=task.versions,
                identity=task.identity,
            )
        except (ValueError, OSError) as error:
            raise ProtocolError(str(error)) from error
        return reading

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _named(self, task: Task, error: CadmlError) -> CadmlError:
        """Add the format, which the worker can no longer tell."""
        with contextlib.suppress(CadmlError):
            error.context["format"] = task.adapter or detect(Path(os.fsdecode(task.path)), self._formats).name
        return error


def _outcome(future: Future[Reading]) -> Reading | CadmlError:
    try:
        return future.result()
    except CadmlError as error:
        return error
