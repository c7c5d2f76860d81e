"""The demo does the whole job on parts that it makes itself."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.command import in_own_process


def test_the_demo_finds_everything_it_planted(tmp_path: Path) -> None:
    """About sixty parts in four formats, one refused, every planted pair found, your catalogue untouched."""
    done = in_own_process("demo", "--json", environ={"CADML_DATA_DIR": str(tmp_path)}, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert 50 <= report["files"] <= 70
    assert report["ingest"]["added"] == report["files"] - 1
    assert [failure["code"] for failure in report["ingest"]["failures"]] == ["PARSE_FAILED"]
    assert report["ingest"]["failures"][0]["path"].endswith("torn.step")
    assert report["missed"] == 0
    relations = {pair["relation"] for pair in report["planted"]}
    assert relations == {"copy", "twin", "mirror", "other format", "scaled"}
    suffixes = {Path(pair["query"]).suffix for pair in report["planted"]}
    assert suffixes == {".step", ".iges", ".stl", ".dxf"}
    for pair in report["planted"]:
        if pair["relation"] in ("copy", "twin", "mirror"):
            assert (pair["rank"], pair["score"]) == (1, 1.0)
    assert not (tmp_path / "catalogue.sqlite3").exists()
