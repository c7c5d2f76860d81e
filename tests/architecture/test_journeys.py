"""How many files of the product an everyday request passes through."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.journeys import LIMITS, ROOT


def test_journeys_stay_short() -> None:
    """None is longer than its limit. In a process of its own, as every call of a process is recorded."""
    script = ROOT / "tests" / "architecture" / "journeys.py"
    counted = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert counted.returncode == 0, counted.stdout + counted.stderr
    assert [line.split()[0] for line in counted.stdout.splitlines()[1:]] == list(LIMITS)
