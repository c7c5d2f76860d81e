"""Plays the author of a plugin of each kind, from an empty folder, with the published commands alone.

    pip install ".[testing]" && python contrib/scripts/play_author.py

Prints what each kind took, and ends with 1 where a command fails or the plugin is not listed as loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CADML = str(Path(sys.executable).with_name("cadml"))
KINDS = ("command", "feature", "format", "policy", "routes", "vector")


def run(folder: Path, *command: str) -> str:
    """Run a command and return what it prints.

    Raises:
        SystemExit: It fails; what it printed is the message.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def play(kind: str, folder: Path) -> tuple[float, str]:
    """Write, install and test a plugin of one kind; return the seconds and the last line of the scorecard."""
    name = f"play-{kind}"
    start = time.perf_counter()
    run(folder, CADML, "plugins", "new", name, "--kind", kind)
    distribution = folder / f"cadml-{name}"
    # Without its dependencies: they are installed, and this also works where nothing can be downloaded.
    install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".")
    run(distribution, sys.executable, "-m", "pip", *install)
    told = run(distribution, CADML, "plugins", "test", name)
    seconds = time.perf_counter() - start
    run(distribution, sys.executable, "-m", "pytest", "-q")
    return seconds, told.strip().splitlines()[-1]


def main() -> int:
    """Play them all and return the exit status."""
    print("| kind | commands | s | scorecard |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            seconds, told = play(kind, Path(folder))
            print(f"| {kind} | 3 | {seconds:.1f} | {told} |", flush=True)
        records = json.loads(run(Path(folder), CADML, "plugins", "list", "--json"))
        loaded = {record["name"] for record in records if record["status"] == "loaded"}
    missing = {f"play-{kind}" for kind in KINDS} - loaded
    print(f"not loaded: {', '.join(sorted(missing)) or 'none'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
