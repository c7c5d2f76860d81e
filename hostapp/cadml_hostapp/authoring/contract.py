"""Whether a plugin keeps its contract: the conformance kit, run on each object that it registered."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cadml_core.errors import InvalidSetting
from cadml_core.plugins.records import PluginRecord
from cadml_core.plugins.registry import Kind
from cadml_hostapp.authoring.kit_run import Line
from cadml_hostapp.authoring.subjects import CONTRACTS, provided, write_tests

if TYPE_CHECKING:
    from cadml_hostapp.authoring.scorecard import Check

LONGEST_SECONDS = 300.0
_MODULE = "cadml_hostapp.authoring.kit_run"


def checks(record: PluginRecord, sample: Path | None) -> Iterator[Check]:
    """Run the kit; a test that ends its process, or never ends, is a failed one.

    Raises:
        InvalidSetting: pytest is not installed.
    """
    from cadml_hostapp.authoring.scorecard import Check

    if importlib.util.find_spec("pytest") is None:
        raise InvalidSetting(
            'the conformance kit needs pytest: pip install "cadml[testing]"', stage="plugins"
        )
    for kind, name in provided(record):
        if kind.field == "formats" and sample is None:
            yield Check("contract", name, "everything", "skipped", "name a good file: --sample")
        elif kind.field in CONTRACTS:
            yield from _checks_of(kind, name, sample)


def _checks_of(kind: Kind, name: str, sample: Path | None) -> Iterator[Check]:
    from cadml_hostapp.authoring.scorecard import Check

    with tempfile.TemporaryDirectory(prefix="cadml-scorecard-") as folder:
        tests, report = write_tests(kind, name, sample, Path(folder)), Path(folder) / "report"
        report.touch()
        ended = _run(tests, report)
        lines = [msgspec.json.decode(line, type=Line) for line in report.read_bytes().splitlines()]
    for line in {line.test: line for line in lines}.values():  # the last line of each test counts
        tried = line.test.removeprefix("test_").replace("_", " ") or "the kit can be set up"
        if line.outcome == "started":
            yield Check("contract", name, tried, "failed", ended)
        else:
            yield Check("contract", name, tried, line.outcome, line.reason)


def _run(tests: Path, report: Path) -> str:
    """Run the tests in a process, and return how that ended, for a test that did not."""
    command = [sys.executable, "-m", _MODULE, str(tests), str(report)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"did not end within {LONGEST_SECONDS:g} s"
    return f"ended the process with status {done.returncode}"
