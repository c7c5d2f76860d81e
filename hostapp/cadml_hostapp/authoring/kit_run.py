"""Run a module of tests and write down what became of each, while it goes on.

    python -m cadml_hostapp.authoring.kit_run TESTS REPORT

A process of its own, because a plugin may end the one it is tried in. The report has a line of JSON for the
start and for the end of each test, so that it also says which test never ended.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One line of the report."""

    test: str
    """Its name; empty where the tests could not be collected."""
    outcome: Literal["started", "passed", "failed", "skipped"]
    reason: str = ""


class Recorder:
    """A plugin of pytest that writes the report."""

    def __init__(self, report: Path) -> None:
        self._report = report

    def _write(self, line: Line) -> None:
        with self._report.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write down that a test starts."""
        self._write(Line(_test(nodeid), "started"))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Write down the outcome of a test, and of its preparation where that fails."""
        if report.when == "call" or report.outcome != "passed":
            self._write(Line(_test(report.nodeid), report.outcome, _reason(report)))

    def pytest_collectreport(self, report: Any) -> None:
        """Write down that the tests could not even be collected."""
        if report.failed:
            self._write(Line("", "failed", _reason(report)))


def _test(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


def _reason(report: Any) -> str:
    """Return the sentence that says why, without the traceback around it."""
    if report.passed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).strip().partition("\n")[0] or "no reason given"
    return str(report.longrepr).strip().rpartition("\n")[2]


def main(tests: Path, report: Path) -> None:
    """Run the tests."""
    import pytest

    options = ["-p", "no:terminal", "-p", "no:cacheprovider", "-c", str(tests.with_name("pytest.ini"))]
    tests.with_name("pytest.ini").write_text("[pytest]\n")
    pytest.main([*options, "--rootdir", str(tests.parent), str(tests)], plugins=[Recorder(report)])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
