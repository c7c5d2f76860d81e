"""What audit mode has seen is counted once, kept across restarts, and never in the way."""

from __future__ import annotations

import json
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cadml_core.classifier.audit import AuditStore, newest_snapshot, proposed_whitelist
from cadml_core.classifier.gate import Gate
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.errors import AuditUnavailable
from cadml_core.pickles.scan import scan_pickle
from tests.unit.classifier.assemble import EMPTY_TUPLE, REDUCE, STOP, proto, stack_global

SCAN = scan_pickle(pickle.dumps({"a": [1, 2]}, 4))
OWN = proto(4) + stack_global("mycompany.models", "Classifier") + EMPTY_TUPLE + REDUCE + STOP
EVIL = proto(4) + stack_global("os", "system") + EMPTY_TUPLE + REDUCE + STOP


def clock() -> float:
    """A moment that never passes."""
    return 1_764_149_471.456


def store(path: Path | None, interval: float = 3600.0) -> AuditStore:
    """Make a store at a fixed time."""
    return AuditStore(path, interval, clock)


def test_counts_opcodes_globals_and_files() -> None:
    """Every opcode counts as often as it occurs, every global once per file."""
    audit = store(None)
    audit.record(SCAN)
    audit.record(scan_pickle(OWN))
    snapshot = audit.snapshot()
    assert snapshot.samples == 2
    assert snapshot.opcodes["BININT1"] == 2
    assert snapshot.opcodes["PROTO"] == 2
    assert snapshot.globals == {"mycompany.models:Classifier": 1}
    assert snapshot.timestamp == "2025-11-26T09:31:11.456Z"


def test_survives_a_restart(tmp_path: Path) -> None:
    """What was recorded is written at shutdown and merged at the next start, and adds up."""
    path = tmp_path / "log" / "audit.jsonl"
    for run in (1, 2, 3):
        audit = store(path)
        audit.record(SCAN)
        assert audit.snapshot().samples == run
        audit.close()
        audit.close()
    assert len(path.read_text().splitlines()) == 3
    line = json.loads(path.read_text().splitlines()[-1])
    assert line["samples"] == 3
    assert line["opcodes"]["BININT1"] == 6


def test_writes_on_the_interval(tmp_path: Path) -> None:
    """The file appears while the process runs, and an idle store adds nothing to it."""
    path = tmp_path / "audit.jsonl"
    audit = store(path, 0.02)
    audit.record(SCAN)
    waited = threading.Event()
    for _ in range(500):
        if path.exists() and path.read_text().endswith("\n"):
            break
        waited.wait(0.02)
    waited.wait(0.1)
    audit.close()
    assert len(path.read_text().splitlines()) == 1


def test_skips_damaged_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The newest readable line counts; half-written and foreign ones are warnings."""
    path = tmp_path / "audit.jsonl"
    audit = store(path)
    audit.record(SCAN)
    audit.close()
    with path.open("ab") as stream:
        stream.write(b'{"timestamp": 3}\n\xff\xfe\n{"timestamp": "2026-01-01T00:00:00Z", "samp')
    with caplog.at_level(logging.WARNING):
        found = newest_snapshot(path)
    assert found is not None
    assert found.samples == 1
    assert len(caplog.records) == 3
    assert store(path).snapshot().samples == 1


def test_reads_lines_of_the_plan(tmp_path: Path) -> None:
    """A line with opcodes and samples only, as the plan shows it, is merged."""
    path = tmp_path / "audit.jsonl"
    path.write_text(
        '{"timestamp": "2025-11-25T10:00:00Z", "opcodes": {"BININT": 150, "TUPLE": 80}, "samples": 42}\n'
    )
    snapshot = store(path).snapshot()
    assert (snapshot.samples, snapshot.opcodes) == (42, {"BININT": 150, "TUPLE": 80})


def test_an_unwritable_path_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file cannot be written the audit stays in memory, and says so once."""
    (tmp_path / "file").write_text("")
    audit = store(tmp_path / "file" / "audit.jsonl")
    audit.record(SCAN)
    with caplog.at_level(logging.WARNING):
        audit.flush()
        audit.flush()
    assert audit.snapshot().samples == 1
    assert sum("stays in memory" in record.message for record in caplog.records) == 1
    audit.close()


def test_interval_zero_never_writes(tmp_path: Path) -> None:
    """An interval of 0 switches persistence off."""
    audit = store(tmp_path / "audit.jsonl", 0)
    audit.record(SCAN)
    audit.close()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_says_so() -> None:
    """After closing, the audit is unavailable rather than empty."""
    audit = store(None)
    audit.close()
    with pytest.raises(AuditUnavailable) as caught:
        audit.snapshot()
    assert caught.value.code == "MODEL_OPCODE_AUDIT_UNAVAILABLE"


def test_threads_lose_nothing() -> None:
    """Many recorders at once add up exactly."""
    audit = store(None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: audit.record(SCAN), range(400)))
    assert audit.snapshot().samples == 400
    assert audit.snapshot().opcodes["BININT1"] == 800


def test_proposes_entries_that_would_admit_what_was_seen(policies: dict[str, OpcodePolicy]) -> None:
    """The proposal holds one's own classes, never what the blacklist denies, and it works."""
    gate = Gate(policies, "audit")
    audit = store(None)
    for data in (OWN, EVIL):
        report = gate.report(data)
        audit.record(report.scan, report.others)
    entries = proposed_whitelist(audit.snapshot())
    assert entries == ("mycompany.models:Classifier",)
    assert audit.snapshot().would_refuse == {"blacklist": 2, "whitelist": 2}
    assert Gate(policies, "whitelist", entries).report(OWN).verdict.allowed
    assert not Gate(policies, "whitelist", entries).report(EVIL).verdict.allowed
