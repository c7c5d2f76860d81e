"""The stress checks pass on a small scale, and fail where there is something to find."""

from __future__ import annotations

import gc
import json
import os
import runpy
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from cadml_core.search.index import recheck
from cadml_core.testing import stress
from cadml_core.testing.memory import resident_mib
from cadml_core.testing.stress import StressReport, watched

SCRIPTS = Path(__file__).parents[2] / "contrib" / "scripts"


def run(script: str, **parameters: Any) -> StressReport:
    """Run a check in this process and return its report."""
    report = StressReport(check=script, parameters=parameters)
    runpy.run_path(str(SCRIPTS / f"{script}.py"))["check"](Namespace(**parameters), report)
    return report


def test_migrations_do_what_their_dry_run_said() -> None:
    """Vectors of three versions, with documents and without, all get the new one."""
    report = run("stress_migration", vectors=120)
    assert report.failures == []
    assert (report.found["recomputed"], report.found["by_name"], report.found["failed"]) == (80, 40, 0)
    assert report.found["success_rate"] == 1.0


def test_every_reload_has_a_number_of_its_own() -> None:
    """Good and damaged models from several threads at once: the numbers have no gap and no double."""
    report = run("stress_concurrency_reload", threads=2, reloads=3)
    assert report.failures == []
    assert report.found["succeeded"] + sum(report.found["refused"].values()) == 6
    numbers = report.found["load_seq"]
    assert numbers["last"] - numbers["first"] == report.found["succeeded"]


def test_an_index_that_flaps_costs_no_search() -> None:
    """Every way of failing, under a storm: each is counted once, and no answer is wrong."""
    report = run("stress_degradation", cycles=5)
    assert report.failures == []
    assert report.found["searches"] > 0
    assert report.found["waits"][:4] == [600.0, 1200.0, 2400.0, 3600.0]


def test_a_lie_that_is_not_found_out_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison with the catalogue, the storm meets wrong answers, and the check says so."""

    def blind(self: Any, *_: Any) -> None:
        del self

    monkeypatch.setattr(recheck.Recheck, "compare", blind)
    script = runpy.run_path(str(SCRIPTS / "stress_degradation.py"))
    script["check"].__globals__["Flapping"].cycle = lambda self, fault: (
        self.plan.fail("search", fault),
        [self.search.by_values(self.values[0], k=3) for _ in range(300)],
        self.plan.heal(),
    )
    script["check"].__globals__["FAULTS"] = ("reversed ids",)
    report = StressReport(check="stress_degradation", parameters={})
    script["check"](Namespace(cycles=2), report)
    assert any("searches went wrong" in failure for failure in report.failures)


def test_memory_comes_back_to_where_it_was() -> None:
    """Rounds of the same work leave nothing in the catalogue; what the process holds is measured."""
    report = run("stress_memory_gc_check", rounds=2, vectors=60)
    assert report.failures == []
    assert report.found["left_in_catalogue"] == 0
    assert report.memory.before > 0


def test_growth_is_measured_and_shown() -> None:
    """Memory that is held during a check is its peak, and what stays of it is its end."""
    held: list[bytes] = []
    report = StressReport(check="growth", parameters={})
    with watched(report, trace=True):
        held.extend(os.urandom(1024) * 1024 for _ in range(int(resident_mib())))
        gc.collect()
    assert report.memory_growth["end"] > stress.MOST_GROWTH["end"]
    assert report.memory.traced_growth > 10
    assert report.memory.collections > 0
    assert [excess.split(":")[0] for excess in report.excesses] == ["memory, peak", "memory, end"]
    shown = REGISTRY.get_sample_value("stress_memory_growth_ratio", {"phase": "end"})
    assert shown == report.memory_growth["end"]
    assert report.passed
    report.strict = True
    assert not report.passed


@pytest.mark.parametrize(("strict", "status"), [("0", 0), ("1", 1)])
def test_too_much_memory_is_a_failure_in_strict_mode(strict: str, status: int, tmp_path: Path) -> None:
    """From the command line: a report in JSON either way, and the exit status by STRESS_STRICT."""
    program = (
        "import runpy, sys; from cadml_core.testing import stress; stress.MOST_GROWTH['end'] = 0.0;"
        f" script = runpy.run_path({str(SCRIPTS / 'stress_migration.py')!r});"
        " sys.exit(stress.main(script['check'], script['parser'](), sys.argv[1:]))"
    )
    output, textfile = tmp_path / "report.json", tmp_path / "stress.prom"
    options = ["--vectors", "6", "--output", output, "--textfile", textfile]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, options)],
        env={**os.environ, "STRESS_STRICT": strict},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    told = json.loads(done.stdout)
    assert told == json.loads(output.read_text())
    assert (told["passed"], told["strict"], told["failures"]) == (not status, bool(status), [])
    assert told["excesses"]
    assert 'stress_memory_growth_ratio{phase="end"}' in textfile.read_text()
