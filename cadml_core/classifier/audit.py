"""The opcode audit: what the models seen in audit mode consist of, kept across restarts."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cadml_core.clock import timestamp
from cadml_core.contracts.policies import PickleScan, Verdict
from cadml_core.errors import AuditUnavailable
from cadml_core.metrics import model_opcode_audit_total
from cadml_core.private_files import private_file, private_folder

log = logging.getLogger(__name__)

_STATE_OF = "state of "
_MAX_GLOBALS = 10_000
_TAIL_BYTES = 8 * 1024**2  # of the file are searched for the newest readable line


class AuditSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything recorded so far; one of these is one line of the file."""

    timestamp: str
    opcodes: dict[str, int] = {}
    """Opcode -> how often it occurred."""
    samples: int = 0
    """Files scanned."""
    globals: dict[str, int] = {}
    """``module:name`` -> in how many files."""
    refused_by: dict[str, tuple[str, ...]] = {}
    """Opcode or ``module:name`` -> the policies that would refuse it."""
    would_refuse: dict[str, int] = {}
    """Policy -> how many files it would refuse."""


class AuditStore:
    """Counts opcodes and globals. Safe for threads.

    Args:
        path: The JSON-lines file; None keeps everything in memory.
        interval: Seconds between two writes; 0 never writes.
        clock: Seconds since the epoch, for the timestamps.
    """

    def __init__(self, path: Path | None, interval: float, clock: Callable[[], float]) -> None:
        self._path = path if interval > 0 else None
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._opcodes: Counter[str] = Counter()
        self._globals: Counter[str] = Counter()
        self._refused_by: dict[str, set[str]] = {}
        self._would_refuse: Counter[str] = Counter()
        self._samples = 0
        self._written = 0
        self._warned = False
        self._closed = threading.Event()
        self._merge_saved()
        self._thread = self._start_writer()

    def record(self, scan: PickleScan, others: Iterable[Verdict] = ()) -> None:
        """Add one scanned file, and what the enforcing policies say of it."""
        with self._lock:
            self._samples += 1
            self._opcodes.update(scan.opcode_counts)
            labels = {found.label for found in scan.globals if found.module is not None}
            room = _MAX_GLOBALS - len(self._globals)
            known = labels & self._globals.keys()
            self._globals.update(known | set(sorted(labels - known)[: max(room, 0)]))
            for verdict in others:
                self._record_verdict(verdict)
        for opcode, count in scan.opcode_counts.items():
            model_opcode_audit_total.labels(opcode=opcode).inc(count)

    def _record_verdict(self, verdict: Verdict) -> None:
        self._would_refuse[verdict.policy] += not verdict.allowed
        for finding in verdict.findings:
            if finding.rule == "foreign-package":
                continue  # an entry is what admits it
            subject = finding.global_name or finding.opcode
            if finding.rule.endswith("-state"):
                subject = f"{_STATE_OF}{subject}"  # no entry admits it
            if subject in self._refused_by or len(self._refused_by) < _MAX_GLOBALS:
                self._refused_by.setdefault(subject, set()).add(verdict.policy)

    def snapshot(self) -> AuditSnapshot:
        """Return everything recorded so far.

        Raises:
            AuditUnavailable: The store is closed.
        """
        if self._closed.is_set():
            raise AuditUnavailable("the opcode audit is closed")
        with self._lock:
            return self._snapshot()

    def _snapshot(self) -> AuditSnapshot:
        return AuditSnapshot(
            timestamp=timestamp(datetime.fromtimestamp(self._clock(), UTC)),
            opcodes=dict(sorted(self._opcodes.items())),
            samples=self._samples,
            globals=dict(sorted(self._globals.items())),
            refused_by={name: tuple(sorted(by)) for name, by in sorted(self._refused_by.items())},
            would_refuse=dict(sorted(self._would_refuse.items())),
        )

    def flush(self) -> None:
        """Write a line if anything was recorded since the last; an unwritable path is a warning."""
        with self._lock:
            if self._path is None or self._samples == self._written:
                return
            line = msgspec.json.encode(self._snapshot()) + b"\n"
            try:
                private_folder(self._path.parent)
                private_file(self._path)
                with self._path.open("ab") as stream:
                    stream.write(line)
            except OSError as error:
                self._warn(error)
                return
            self._written = self._samples

    def close(self) -> None:
        """Stop the writer and write what is left; closing twice is allowed."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            log.warning("the opcode audit stays in memory: %s cannot be written: %s", self._path, error)
        self._warned = True

    def _start_writer(self) -> threading.Thread | None:
        if self._path is None:
            return None
        thread = threading.Thread(target=self._write_regularly, name="cadml-opcode-audit", daemon=True)
        thread.start()
        return thread

    def _write_regularly(self) -> None:
        while not self._closed.wait(self._interval):
            self.flush()

    def _merge_saved(self) -> None:
        if self._path is None:
            return
        saved = newest_snapshot(self._path)
        if saved is None:
            return
        self._opcodes.update(saved.opcodes)
        self._globals.update(saved.globals)
        self._would_refuse.update(saved.would_refuse)
        self._refused_by.update({name: set(by) for name, by in saved.refused_by.items()})
        self._samples = self._written = saved.samples


def newest_snapshot(path: Path) -> AuditSnapshot | None:
    """Return the last readable line of an audit file, None where there is none; damaged ones are warnings."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("the opcode audit %s cannot be read: %s", path, error)
        return None
    for number in range(len(lines), 0, -1):
        if lines[number - 1].strip():
            try:
                return msgspec.json.decode(lines[number - 1], type=AuditSnapshot)
            except msgspec.MsgspecError as error:
                log.warning("skipped a damaged line of the opcode audit %s: %s", path, error)
    return None


def proposed_whitelist(snapshot: AuditSnapshot) -> tuple[str, ...]:
    """Return entries for ``MODEL_OPCODE_WHITELIST`` that would admit what was recorded.

    What the blacklist refuses is never proposed, but for packages that only need an entry.
    """
    return tuple(
        name
        for name, policies in snapshot.refused_by.items()
        if "whitelist" in policies and "blacklist" not in policies and not name.startswith(_STATE_OF)
    )
