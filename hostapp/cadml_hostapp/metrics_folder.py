"""The folder in which several server processes share their metrics, so that each can answer for all.

prometheus_client decides at its import whether a process shares its metrics, so nothing here imports it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare() -> None:
    """Make or empty the folder that the environment names. Call this before the first metric is made."""
    if named := os.environ.get(VARIABLE):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):
            left.unlink(missing_ok=True)


def shared_folder() -> Path | None:
    """Return the folder, None where this process serves alone."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Give several processes a temporary folder, unless the environment names one."""
    if workers == 1 or os.environ.get(VARIABLE):
        yield
        return
    import shutil
    import tempfile

    made = tempfile.mkdtemp(prefix="cadml-metrics-")
    os.environ[VARIABLE] = made
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        shutil.rmtree(made, ignore_errors=True)
