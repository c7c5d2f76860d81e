"""Looking up, removing and pruning parts by command, and what is said of files that do not come in."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cadml_hostapp.cli.hits import two_lines
from tests.integration.command import Run, in_process
from tests.integration.test_cli import stl


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``cadml`` in this process, with the STL reader only."""
    monkeypatch.chdir(tmp_path)
    environ = {
        "CADML_DATA_DIR": str(tmp_path / "data"),
        "CADML_PLUGINS_DISABLE": "step,iges,dxf",
        "PARSE_WORKERS": "1",
    }

    def call(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = in_process(*map(str, arguments), environ=environ | more)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three parts, a torn file, and files of other systems."""
    root = tmp_path / "parts"
    stl(root / "bolts" / "M8x20.stl", (20.0, 8.0, 8.0))
    stl(root / "bolts" / "M8x21.stl", (8.0, 21.0, 8.0))
    stl(root / "plates" / "base.stl", (90.0, 60.0, 5.0))
    (root / "torn.stl").write_text("solid t\nfacet normal 0 0 0\nouter loop\nvertex 1")
    for name in ("a.SLDPRT", "b.sldprt", "c.dwg", "d.stl.gz", "e.prt.3", "f.dxf", "notes.txt", ".hidden.ipt"):
        (root / name).write_bytes(b"x")
    return root


def parsed(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON on standard output."""
    return json.loads(done.stdout)


def names(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Names of parts or hits."""
    answer = parsed(done)
    return [item["name"] for item in answer.get("items", answer.get("hits"))]


def test_files_of_other_systems_are_counted_and_named(run: Run, folder: Path) -> None:
    """By suffix, with what to do; what is no CAD file is nobody's business."""
    skipped = {found["suffix"]: found for found in parsed(run("ingest", folder, "--json"))["skipped"]}
    assert {suffix: found["count"] for suffix, found in skipped.items()} == {
        ".sldprt": 2,
        ".dwg": 1,
        ".stl.gz": 1,
        ".prt": 1,
        ".dxf": 1,
    }
    assert "cadml plugins doctor" in skipped[".dxf"]["advice"]
    assert "STEP" in skipped[".sldprt"]["advice"]
    assert "DXF" in skipped[".dwg"]["advice"]
    assert skipped[".stl.gz"]["advice"] == "unpack it first"
    told = run("ingest", folder).stderr
    assert "Passed over: 2 .sldprt; export it as STEP" in told
    refused = run("extract", folder / "a.SLDPRT", code=1).stderr
    assert "export it as STEP (AP214 or AP242) from SOLIDWORKS" in refused


def test_a_mistyped_path_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    """Before anything is read, whatever else was named."""
    problem = parsed(run("ingest", folder, "prats", "--json", code=1))
    assert (problem["code"], problem["context"]["paths"]) == ("DATA_NOT_FOUND", ["prats"])
    assert not (tmp_path / "data").exists()
    assert "neither a file nor the id of a part" in run("search", "prats/base.stl", code=1).stderr
    (tmp_path / "empty").mkdir()
    assert "no file here that a reader knows" in run("ingest", "empty").stdout


def test_parts_are_found_by_words_and_size(run: Run, folder: Path) -> None:
    """In lists and in searches, before the cut."""
    run("ingest", folder, "--label-from", "parent")
    both = ["M8x20.stl", "M8x21.stl"]
    assert sorted(names(run("parts", "list", "--text", "bolts m8", "--json"))) == both
    assert names(run("parts", "list", "--text", "21", "--json")) == ["M8x21.stl"]
    bolt = folder / "bolts" / "M8x20.stl"
    assert names(run("search", bolt, "-k", 1, "--text", "base", "--json")) == ["base.stl"]
    assert names(run("search", bolt, "--size-within", 6, "--json")) == ["M8x20.stl", "M8x21.stl"]
    assert names(run("search", bolt, "--size-within", 4, "--json")) == ["M8x20.stl"]
    told = run("search", bolt, "--text", "washer").stdout
    assert "the filter excluded everything: no part has the text 'washer'; without it there are 3" in told
    other = run("search", bolt, "--version", "v1").stdout
    assert "no part has a v1 vector, but the catalogue holds 3 of v3; search with `--version v3`" in other
    assert "The filter excluded all 3 parts." in run("parts", "list", "--text", "washer").stdout
    run("ingest", folder / "plates", "--version", "v1")
    assert "2 parts have no v1 vector and cannot be found" in run("search", bolt, "--version", "v1").stderr


def test_the_beginning_of_an_id_is_enough(run: Run, folder: Path) -> None:
    """Lists show short ids, and every command takes them, or the path of the part's file."""
    run("ingest", folder)
    part = parsed(run("parts", "list", "--text", "base", "--json"))["items"][0]
    short = part["id"][:8]
    assert short in run("parts", "list").stdout
    assert part["id"] not in run("parts", "list").stdout
    assert parsed(run("parts", "show", short, "--json"))["id"] == part["id"]
    shown = run("parts", "show", "parts/plates/base.stl").stdout
    assert "90 x 60 x 5 mm" in shown
    assert names(run("search", short, "--json")) == names(run("search", part["id"], "--json"))
    assert "neither the id of a part nor the path" in run("parts", "show", "nothing", code=1).stderr
    assert parsed(run("parts", "remove", short, "--json")) == {"removed": [part["id"]]}
    assert (folder / "plates" / "base.stl").exists()
    assert names(run("parts", "list", "--json")) == ["M8x20.stl", "M8x21.stl"]


def test_pages_of_parts(run: Run, folder: Path) -> None:
    """A page says how to get the next."""
    run("ingest", folder)
    first = parsed(run("parts", "list", "--limit", 2, "--json"))
    rest = parsed(run("parts", "list", "--limit", 2, "--after", first["next_cursor"], "--json"))
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    assert (
        f"3 parts; 2 shown, the next: --after {first['next_cursor']}"
        in run("parts", "list", "--limit", 2).stdout
    )


def test_prune_removes_only_what_is_surely_gone(run: Run, folder: Path, tmp_path: Path) -> None:
    """Asked twice, below one folder, and not where all is gone, as if a disk were not mounted."""
    run("ingest", folder)
    (folder / "bolts" / "M8x20.stl").unlink()
    dry = parsed(run("parts", "prune", folder, "--json"))
    assert [Path(gone["path"]).name for gone in dry["gone"]] == ["M8x20.stl"]
    assert (dry["present"], dry["removed"]) == (2, False)
    assert "would be removed" in run("parts", "prune", folder).stdout
    assert len(names(run("parts", "list", "--json"))) == 3
    assert parsed(run("parts", "prune", folder / "plates", "--yes", "--json"))["gone"] == []
    run("parts", "prune", folder, "--yes")
    assert names(run("parts", "list", "--json")) == ["M8x21.stl", "base.stl"]
    for path in sorted(folder.rglob("*.stl")):
        path.unlink()
    assert "is its disk mounted?" in run("parts", "prune", folder, "--yes", code=1).stderr
    assert "there is no folder" in run("parts", "prune", tmp_path / "nowhere", "--yes", code=1).stderr
    assert len(names(run("parts", "list", "--json"))) == 2
    run("parts", "prune", folder, "--yes", "--even-all")
    assert names(run("parts", "list", "--json")) == []


def test_failures_are_remembered(run: Run, folder: Path) -> None:
    """Until the file is read, or found gone; listing them reads nothing."""
    run("ingest", folder)
    [failure] = parsed(run("failures", "--json"))
    assert (Path(failure["path"]).name, failure["code"]) == ("torn.stl", "PARSE_FAILED")
    assert failure["message"] in " ".join(run("failures").stdout.split("\n"))
    stl(folder / "torn.stl", (1.0, 1.0, 1.0))
    assert len(parsed(run("failures", "--json"))) == 1
    run("ingest", folder)
    assert parsed(run("failures", "--json")) == []
    (folder / "torn.stl").write_text("solid t\nfacet normal 0 0 0\nouter loop\nvertex 1")
    run("ingest", folder)
    (folder / "torn.stl").unlink()
    run("ingest", folder)
    assert len(parsed(run("failures", "--json"))) == 1
    run("parts", "prune", folder, "--yes")
    assert "No file" in run("failures").stdout


def test_the_demo_is_searched_until_there_is_a_catalogue(run: Run, folder: Path, tmp_path: Path) -> None:
    """Said aloud, and never once the user has a catalogue; looking something up makes none."""
    base = folder / "plates" / "base.stl"
    assert "the catalogue is empty" in run("search", base).stdout
    assert not (tmp_path / "data").exists()
    run("--data-dir", tmp_path / "data" / "demo", "ingest", folder / "plates")
    found = run("search", base)
    assert "base.stl" in found.stdout
    assert "this is the demo's" in found.stderr
    assert names(run("parts", "list", "--json")) == ["base.stl"]
    run("ingest", folder / "bolts")
    own = run("search", base)
    assert "base.stl" not in own.stdout.partition("\n")[2]
    assert own.stderr == ""


@pytest.mark.parametrize("width", [80, 60, 48])
def test_a_hit_fits_two_lines(width: int) -> None:
    """However long its name, path, label and id are; without a width nothing is cut."""
    long = ("  1  1.000", "0123456789abcdef", "n" * 90 + ".step", "step", "socket head cap screw", "/p" * 99)
    first, second = two_lines(*long, width=width)
    assert (len(first), len(second)) == (width, width)
    assert first.endswith("  01234567")
    assert second.endswith("/p/p")
    whole = two_lines(*long, width=None)
    assert long[2] in whole[0]
    assert long[5] in whole[1]
    first, second = two_lines("", "bolt-1", "bolt.stl", "stl", None, None, width=width)
    assert (first.split(), len(first), second) == (["bolt.stl", "stl", "bolt-1"], width, "")


def test_evaluation_by_a_manifest(run: Run, folder: Path) -> None:
    """Versions side by side, over the same parts; what is not in the catalogue is named."""
    manifest = folder / "manifest.csv"
    manifest.write_text(
        "path,format,family,base,relation,chiral\n"
        "bolts/M8x20.stl,stl,bolt,,aligned,0\n"
        "plates/base.stl,stl,bolt,,turned,0\n"
        "bolts/M8x21.stl,stl,bolt,bolts/M8x20.stl,rotated,0\n"
        "torn.stl,stl,bolt,bolts/M8x20.stl,hole_dia,0\n"
    )
    run("ingest", folder)
    arguments = ("evaluate", "--manifest", manifest, "--version", "v4", "--version", "v1")
    report = parsed(run(*arguments, "--json"))
    assert (report["files"], report["evaluated"], report["distractors"]) == (4, 3, 0)
    assert report["absent"] == ["torn.stl"]
    assert [found["feature_version"] for found in report["versions"]] == ["v4", "v1"]
    first, second = report["versions"]
    assert first["families"]["all"]["mAP"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 2}
    assert first["relations"]["rotated"]["first"]["n"] == 1
    assert first["differences"] == {}
    assert "same part" in second["differences"]
    assert parsed(run(*arguments, "--json")) == report
    shown = run(*arguments)
    assert "all mAP" in shown.stdout
    assert "Beyond v4" in shown.stdout
    assert "1 of the manifest's 4 files are not in the catalogue" in shown.stderr
    assert "no column" in run("evaluate", "--manifest", folder / "torn.stl", code=1).stderr


DAMAGE = {
    "content": "UPDATE contents SET size = size + 1 WHERE rowid = 1",
    "vector": "UPDATE vectors SET raw = CAST(zeroblob(8) || substr(raw, 9) AS BLOB) WHERE part = 2",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_and_never_used(run: Run, folder: Path, tmp_path: Path, what: str) -> None:
    """A row that is not what was written is found by the check, and refused where it is needed."""
    run("ingest", folder, "--json")
    assert parsed(run("parts", "check", "--json")) == []
    listed = parsed(run("parts", "list", "--json"))["items"]
    with sqlite3.connect(tmp_path / "data" / "catalogue.sqlite3") as connection:
        assert connection.execute(DAMAGE[what]).rowcount > 0
    found = parsed(run("parts", "check", "--json", code=1))
    assert {damage["what"] for damage in found} == {what}
    if what == "vector":
        assert {damage["name"].split()[0] for damage in found} == {listed[1]["id"]}
        assert "parts check" in run("search", listed[0]["id"], "--json", code=1).stdout
        run("parts", "remove", listed[1]["id"])
        assert parsed(run("parts", "check", "--json")) == []
        run("ingest", folder, "--json")
        run("search", listed[0]["id"], "--json")


def test_a_changed_upload_is_named(run: Run, folder: Path, tmp_path: Path) -> None:
    """A kept file whose content is no longer that of its name."""
    run("ingest", folder, "--json")
    sha256 = parsed(run("parts", "list", "--json"))["items"][0]["sha256"]
    kept = tmp_path / "data" / "uploads" / sha256[:2] / sha256
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"something else")
    assert parsed(run("parts", "check", "--json", code=1)) == [
        {"what": "upload", "name": sha256, "reason": "the file that was kept has changed"}
    ]
