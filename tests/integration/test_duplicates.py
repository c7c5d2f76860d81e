"""From files to groups, decisions and reports, on the command line."""

from __future__ import annotations

import csv
import html.parser
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cadml_core.catalog.store import Catalog
from tests.integration.test_compare import Cadml
from tests.unit.duplicates.cleaning import Cleaning
from tests.unit.duplicates.planted import library
from tests.unit.formats import kernel_parts as parts

HOSTILE = "=cmd|'x'<script>alert(1)<script>&\n;$(touch pwned)`touch pwned`.step"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bracket, its bytes again under a hostile name, the bracket turned, as facets, and another part."""
    found = tmp_path / "files"
    found.mkdir()
    bracket = parts.bracket()
    parts.write_step(bracket, found / "bracket.step")
    shutil.copy(found / "bracket.step", found / HOSTILE)
    parts.write_step(parts.placed(bracket, 5, 6, 7, turn=math.pi / 3), found / "turned.step")
    parts.write_stl(bracket, found / "facets.stl", 0.001)
    parts.write_step(parts.box(33, 20, 10), found / "other.step")
    return found


@pytest.fixture
def cadml(tmp_path: Path, folder: Path) -> Cadml:
    """The command, over a catalogue of these files."""
    found = Cadml(tmp_path)
    found.text("ingest", str(folder))
    return found


def names(group: Any) -> set[str]:
    """The names of the parts of a group."""
    return {part["name"] for part in group["parts"]}


def test_files_are_grouped_with_proof(cadml: Cadml) -> None:
    """Bytes, features and meshes prove what belongs together; surfaces lead, and nothing is left to do."""
    found = cadml.json("duplicates")
    [group] = found["groups"]
    assert names(group) == {"bracket.step", HOSTILE, "turned.step", "facets.stl"}
    assert {edge["evidence"] for edge in group["edges"]} == {"bytes", "features", "mesh"}
    assert all(edge["certified"] for edge in group["edges"])
    assert group["kind"] == "same"
    assert next(part["format"] for part in group["parts"] if part["id"] == group["lead"]) == "step"
    assert found["waiting"] == 0
    again = cadml.json("duplicates")
    assert (again["run"]["total"], again["groups"]) == (0, found["groups"])
    assert [run["status"] for run in cadml.json("duplicates", "runs")["runs"]] == ["completed", "completed"]


def test_a_decision_survives_moves_renames_and_reading_again(
    cadml: Cadml, folder: Path, tmp_path: Path
) -> None:
    """It is about contents: wherever the files go, and after export into another catalogue."""
    cadml.text("duplicates")
    cadml.text("duplicates", "decide", str(folder / "turned.step"), str(folder / "bracket.step"), "different")
    cadml.text("duplicates", "decide", str(folder / "turned.step"), str(folder / "facets.stl"), "different")

    def check(tool: Cadml) -> None:
        for group in tool.json("duplicates")["groups"]:
            assert not {"turned.step", "moved.step"} & names(group)

    check(cadml)
    (folder / "turned.step").rename(folder / "moved.step")
    cadml.text("ingest", str(folder))
    cadml.text("parts", "remove", str(folder / "moved.step"))
    cadml.text("ingest", str(folder))
    cadml.text("parts", "prune", str(folder), "--yes")
    assert cadml.json("migrate", "run", "v4")["recomputed"] > 0
    check(cadml)
    cadml.text("duplicates", "export", str(tmp_path / "decisions.csv"))
    other = Cadml(tmp_path / "other")
    answer = other.json("duplicates", "import", str(tmp_path / "decisions.csv"))
    assert answer == {"taken": 2, "older": 0}
    other.text("ingest", str(folder))
    check(other)
    cadml.text("duplicates", "decide", str(folder / "moved.step"), str(folder / "bracket.step"), "open")
    cadml.text("duplicates", "decide", str(folder / "moved.step"), str(folder / "facets.stl"), "open")
    assert any("moved.step" in names(group) for group in cadml.json("duplicates")["groups"])


def test_a_chosen_part_leads(cadml: Cadml, folder: Path) -> None:
    """Whatever the rules say."""
    cadml.text("duplicates", "lead", str(folder / "facets.stl"), "--by", "Eve")
    [group] = cadml.json("duplicates")["groups"]
    assert next(part["name"] for part in group["parts"] if part["id"] == group["lead"]) == "facets.stl"


class Elements(html.parser.HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_reports_are_written_whatever_files_are_called(cadml: Cadml, folder: Path, tmp_path: Path) -> None:
    """A name is text: no element, no formula, no command; and the page loads nothing."""
    page, table = tmp_path / "report.html", tmp_path / "report.csv"
    cadml.text("duplicates", "--html", str(page), "--csv", str(table))
    seen = Elements()
    seen.feed(page.read_text(encoding="utf-8"))
    assert "script" not in seen.seen
    assert all(link.startswith("#") for link in seen.links)
    assert "&lt;script&gt;alert(1)" in page.read_text(encoding="utf-8")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["name"] for row in rows} == {"bracket.step", f"'{HOSTILE}", "turned.step", "facets.stl"}
    assert [row["lead"] for row in rows].count("yes") == 1


def test_a_plan_moves_copies_and_nothing_else(cadml: Cadml, folder: Path, tmp_path: Path) -> None:
    """One file of each format stays; names are no commands; what has changed since is left alone."""
    plan, aside = tmp_path / "plan.sh", tmp_path / "aside"
    cadml.text("duplicates", "--plan", str(plan))
    before = {path.name for path in folder.iterdir()}
    changed = cadml.json("duplicates")["groups"][0]["parts"][1]["name"]
    subprocess.run(["sh", str(plan), str(aside)], check=True, cwd=tmp_path, capture_output=True)
    left = {path.name for path in folder.iterdir()}
    assert before - left
    assert {"facets.stl", "other.step"} <= left
    assert sum(name.endswith(".step") and name != "other.step" for name in left) == 1
    assert {path.name for path in aside.rglob("*.step")} == before - left
    assert not (tmp_path / "pwned").exists()
    assert changed in before


def test_a_plan_leaves_what_has_changed(cadml: Cadml, folder: Path, tmp_path: Path) -> None:
    """Between the plan and its use somebody may have worked on a file."""
    plan = tmp_path / "plan.sh"
    cadml.text("duplicates", "--plan", str(plan))
    for path in folder.glob("*.step"):
        path.write_bytes(path.read_bytes() + b"\n")
    done = subprocess.run(
        ["sh", str(plan), str(tmp_path / "aside")], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert "left, as it or the file to keep has changed" in done.stderr
    assert not (tmp_path / "aside").exists()


def test_scopes_and_switches(cadml: Cadml, folder: Path, tmp_path: Path) -> None:
    """A folder, two formats, kinds: each leaves out what it says."""
    assert cadml.json("duplicates", "--folder", str(tmp_path / "elsewhere"))["parts"] == 0
    [group] = cadml.json("duplicates", "--format", "step", "--format", "stl")["groups"]
    assert "facets.stl" in names(group)
    [group] = cadml.json("duplicates", "--format", "step")["groups"]
    assert "facets.stl" not in names(group)
    assert cadml.json("duplicates", "--kind", "mirrored")["groups"] == []
    assert cadml.json("duplicates", "--across-projects")["groups"] == []


def test_a_wrong_import_takes_nothing(cadml: Cadml, tmp_path: Path) -> None:
    """The first wrong line is named, and the right ones before it are not taken."""
    path = tmp_path / "decisions.csv"
    path.write_text(f"a_sha256,b_sha256,verdict\n{'a' * 64},{'b' * 64},different\n{'a' * 64},x,different\n")
    assert "line 3: 'x' is no sha256" in cadml.text("duplicates", "import", str(path), code=1)
    path.write_text(f"a_sha256,b_sha256,verdict\n{'a' * 64},{'b' * 64},maybe\n")
    assert "the verdict 'maybe' is not possible" in cadml.text("duplicates", "import", str(path), code=1)
    cadml.text("duplicates", "export", str(tmp_path / "out.csv"))
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="names of any bytes exist on POSIX only")
def test_a_name_that_is_not_utf_8_is_planned_by_its_bytes(cadml: Cadml, folder: Path, tmp_path: Path) -> None:
    """The script names the very file."""
    odd = os.fsencode(folder) + b"/\xff\xfe.step"
    shutil.copy(os.fsencode(folder / "bracket.step"), odd)
    cadml.text("ingest", str(folder))
    cadml.text("duplicates", "--plan", str(tmp_path / "plan.sh"))
    command = ["sh", str(tmp_path / "plan.sh"), str(tmp_path / "aside")]
    subprocess.run(command, check=True, capture_output=True)
    assert not os.path.exists(odd)  # noqa: PTH110 - a path of bytes


KILLED = """
import os, signal, sys
from cadml_core.runtime import build_runtime
from cadml_core.settings import load_settings

def stop(done, total):
    if done == 700:
        os.kill(os.getpid(), signal.SIGKILL)

runtime = build_runtime(load_settings({"data_dir": sys.argv[1]}))
import cadml_core.duplicates.finder as finder
finder._SECONDS = 0.05
runtime.duplicates.run(meshes=False, progress=stop)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """What it had written is not compared again, and the end is that of one run over all."""
    made = list(library(900, 0.3))
    with Catalog.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}") as catalog:
        catalog.add([part for part, _ in made])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Catalog.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}") as catalog:
        cleaning = Cleaning(catalog)
        assert [run.status for run in cleaning.finder.runs()] == ["interrupted"]
        kept = cleaning.finder.runs()[0].done
        assert 0 < kept <= 700
        assert cleaning.run() == 900 - kept
        assert cleaning.edges() == {(frozenset((part.id or "", of[0])), of[1]) for part, of in made if of}
