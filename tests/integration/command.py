"""The ``cadml`` command, run in this process, or in its own where the process is what a test is about."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import CliRunner

from cadml_hostapp.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]
"""``run(*arguments, code=0, **environ)`` checks the exit status and returns what was printed."""

COMMAND = [sys.executable, "-c", "from cadml_hostapp.cli import main; main()"]


def in_process(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command as a call; an exception that would be a traceback is raised."""
    inherited: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CADML_")}
    result = CliRunner().invoke(main, arguments, env={**inherited, **environ}, prog_name="cadml")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


def in_own_process(
    *arguments: str, environ: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**inherited, **environ},
        cwd=folder,
        timeout=300,
    )
