"""Facts from a table: joined by path or name, searchable, kept over the next ingest, never guessed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.command import Run
from tests.integration.test_cli import stl
from tests.integration.test_parts_cli import names, parsed, run

__all__ = ["run"]


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """Four parts in the catalogue, two of them with one name."""
    root = tmp_path / "parts"
    stl(root / "bolts" / "M8x20.stl", (20.0, 8.0, 8.0))
    stl(root / "left" / "base.stl", (90.0, 60.0, 5.0))
    stl(root / "right" / "base.stl", (90.0, 61.0, 5.0))
    stl(root / "cover.stl", (30.0, 60.0, 2.0))
    run("ingest", root)
    return root


def taken(run: Run, text: str, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Import a table."""
    Path("table.csv").write_text(text, encoding="utf-8-sig")
    return run("metadata", "import", "table.csv", "--json", *options, code=code)


def test_rows_find_their_parts(run: Run, folder: Path) -> None:
    """By absolute path, by the end of one in any writing, by name, and by name without its suffix."""
    table = (
        "Path;Name;Material;part_number;vendor\n"
        f"{folder / 'cover.stl'};;steel;C-1;\n"
        ";m8X20;brass;B-2;Acme\n"
        "RIGHT\\base.stl;;steel;R-3;\n"
    )
    first = parsed(taken(run, table, "--dry-run"))
    assert (first["rows"], first["matched"], first["changed"]) == (3, 3, 3)
    assert names(run("parts", "list", "--material", "steel", "--json")) == []
    assert parsed(taken(run, table))["changed"] == 3
    assert parsed(taken(run, table))["changed"] == 0
    assert sorted(names(run("parts", "list", "--material", "steel", "--json"))) == ["base.stl", "cover.stl"]
    [base] = parsed(run("parts", "list", "--text", "r-3", "--json"))["items"]
    assert (Path(base["path"]).parent.name, base["meta"]) == ("right", {"part_number": "R-3"})
    bolt = folder / "bolts" / "M8x20.stl"
    assert names(run("search", bolt, "--text", "acme", "--json")) == ["M8x20.stl"]


def test_what_is_ambiguous_is_said_and_not_taken(run: Run, folder: Path) -> None:
    """A name that two parts have, two rows that contradict one another, and files that are not here."""
    table = (
        "name,material\nbase.stl,steel\ncover,steel\nM8x20.stl,steel\nM8x20,brass\nM8x20,steel\n"
        "none.stl,x\n,y\n"
    )
    answer = parsed(taken(run, table))
    assert (answer["matched"], answer["changed"]) == (1, 1)
    assert [(row["line"], row["reason"]) for row in answer["ambiguous"]] == [
        (2, "2 parts may be meant"),
        (4, "line 5 says something else"),
        (5, "line 4 says something else"),
    ]
    assert len(answer["ambiguous"][0]["parts"]) == 2
    assert [(row["line"], row["reason"]) for row in answer["unmatched"]] == [
        (7, "no part has this file"),
        (8, "the row names no file"),
    ]
    assert names(run("parts", "list", "--material", "steel", "--json")) == ["cover.stl"]
    told = run("metadata", "import", "table.csv").stderr
    assert "ambiguous line 2 base.stl: 2 parts may be meant" in told


def test_facts_stay_with_the_part(run: Run, folder: Path) -> None:
    """Over another ingest, a changed file, and a move; a later table adds to them."""
    taken(run, "name,material,part_number\ncover,steel,C-1\n")
    stl(folder / "cover.stl", (31.0, 60.0, 2.0))
    run("ingest", folder)
    (folder / "cover.stl").rename(folder / "lid.stl")
    run("ingest", folder)
    taken(run, "name,project,part_number,note\nlid,Mars,,old\n")
    [lid] = parsed(run("parts", "list", "--text", "c-1", "--json"))["items"]
    assert (lid["name"], lid["material"], lid["project"]) == ("lid.stl", "steel", "Mars")
    assert lid["meta"] == {"part_number": "C-1", "note": "old"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path' or 'name'"),
        ("file,material\na,b\n", "no column 'path' or 'name'"),
        ("name,x,x\na,b,c\n", "two columns of one name"),
        ("name,material\ncover,steel,extra\n", "line 2 has more cells"),
        ("name,material\nM8x20,brass\ncover,a\0b\n", "material"),
    ],
)
def test_what_is_no_table_is_refused_whole(run: Run, folder: Path, text: str, message: str) -> None:
    """Nothing is taken of it."""
    problem = parsed(taken(run, text, code=1))
    assert problem["code"] == "INPUT_VALIDATION_FAILED"
    assert message in problem["message"]
    assert names(run("parts", "list", "--material", "brass", "--json")) == []


def test_another_encoding_is_named(run: Run, folder: Path) -> None:
    """Also where it begins far down."""
    Path("table.csv").write_bytes(
        b"name,material\n" + b"none,x\n" * 20_000 + "cover,Stahlgu\xdf\n".encode("latin-1")
    )
    assert "save it as CSV UTF-8" in run("metadata", "import", "table.csv", code=1).stderr
