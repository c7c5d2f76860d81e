"""On real labelled parts the scaled space finds what it should, and better than raw angles do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CORPUS = os.environ.get("CADML_CORPUS", "")


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS, reason="CADML_CORPUS names no folder")
def test_v4_retrieves_labelled_step_parts(tmp_path: Path) -> None:
    """Leave-one-out over parts labelled by folder: mAP of at least 0.50 and P@1 of at least 0.68."""

    def cadml(*arguments: str) -> str:
        command = [sys.executable, "-c", "from cadml_hostapp.cli import main; main()"]
        environ = {**os.environ, "CADML_DATA_DIR": str(tmp_path)}
        return subprocess.run(
            [*command, *arguments], env=environ, capture_output=True, check=True
        ).stdout.decode()

    cadml("ingest", str(Path(CORPUS) / "step_labelled"))
    found = json.loads(cadml("evaluate", "--label", "parent", "--version", "v4", "--json"))
    spaces = {row["metric"]: row for row in found}
    assert spaces["scaled"]["mean_average_precision"] >= 0.50
    assert spaces["scaled"]["precision_at_1"] >= 0.68
    assert spaces["cosine_raw"]["mean_average_precision"] < spaces["scaled"]["mean_average_precision"]
