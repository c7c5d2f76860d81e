"""The demo does the whole job on parts that it makes itself, and the page of limits tells what it found."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cadml_core.catalog.store import Catalog
from cadml_hostapp.demo.plan import EXPECTED, LIMITS
from tests.integration.command import in_own_process

LIMITS_PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "limits.md"
OUTCOMES = ("found", "missed", "wrong")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def report(folder: Path) -> Any:
    """What the demo says, run as a user runs it."""
    done = in_own_process("demo", "--json", environ={"CADML_DATA_DIR": str(folder)}, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_whole_job(report: Any, folder: Path) -> None:
    """About a hundred parts in four formats, one refused; your own catalogue is untouched."""
    assert 90 <= report["files"] <= 110
    assert report["ingest"]["added"] == report["files"] - 1
    assert [failure["code"] for failure in report["ingest"]["failures"]] == ["PARSE_FAILED"]
    assert report["ingest"]["failures"][0]["path"].endswith("torn.step")
    assert {pair["relation"] for pair in report["planted"]} == set(EXPECTED)
    suffixes = {Path(pair["query"]).suffix for pair in report["planted"]}
    assert suffixes == {".step", ".iges", ".stl", ".dxf"}
    assert not (folder / "catalogue.sqlite3").exists()


def test_what_is_planted_is_found_or_a_known_limit(report: Any) -> None:
    """Nothing is certified as what it is not, and every miss has a reason that the demo names."""
    assert report["wrong"] == 0
    assert report["found"] + report["missed"] == len(report["planted"])
    for pair in report["planted"]:
        assert pair["found"] == (pair["outcome"] == "found")
        assert pair["found"] or pair["limit"] in LIMITS, pair
        if pair["certified"]:
            assert pair["said"] == pair["expected"], pair


def test_every_known_limit_is_measured(report: Any) -> None:
    """A limit that has fallen is no longer told."""
    assert {pair["limit"] for pair in report["planted"] if not pair["found"]} == set(LIMITS)


def test_what_no_slot_misses_comes_first(report: Any) -> None:
    """Copies and parts that were only moved are first, with score 1."""
    for pair in report["planted"]:
        if pair["relation"] in ("copy", "twin"):
            assert (pair["ranks"]["v4"], pair["score"]) == (1, 1.0)


def test_twins_are_labelled_with_their_family(report: Any, folder: Path) -> None:
    """A part and the one that it was made from have one label."""
    with Catalog.open(f"sqlite:///{folder}/demo/catalogue.sqlite3") as catalog:
        labels = {part.path: part.label for part in catalog.parts()}
    samples = Path(report["folder"])
    for pair in report["planted"]:
        label = labels[str(samples / pair["query"])]
        assert label == labels[str(samples / pair["partner"])]
        assert label == Path(pair["partner"]).parent.name


def test_the_page_of_limits_tells_what_is_measured(report: Any) -> None:
    """Its table is that of this run."""
    table = _table(report)
    assert table in LIMITS_PAGE.read_text(encoding="utf-8"), (
        f"docs/explanation/limits.md should hold\n\n{table}"
    )


def _table(report: Any) -> str:
    counts = Counter((pair["relation"], pair["outcome"]) for pair in report["planted"])
    lines = ["| made as | should be | found | missed | wrong | why missed |", "|---|---|---|---|---|---|"]
    for relation, expected in EXPECTED.items():
        figures = [str(counts[relation, outcome] or "") for outcome in OUTCOMES]
        limits = sorted({pair["limit"] for pair in report["planted"] if pair["relation"] == relation} - {""})
        kind = f"`{expected.kind}`" if expected.kind else "not certified"
        lines.append(f"| {expected.told} | {kind} | {' | '.join(figures)} | {', '.join(limits)} |")
    return "\n".join(lines)
