"""The combined search over a real catalogue: proof first, then shape, and what each hit is in words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.command import in_process
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids


def plate(diameter: float = 4.0) -> Any:
    """A chiral plate with a step and two holes."""
    holes = [parts.cylinder(r / 2, 40, x=x, y=8, z=-4) for r, x in ((4, 10), (diameter, 35))]
    step = parts.box(12, 9, 6, at=(0, 0, 10))
    return parts.cut(parts.fuse(parts.box(60, 20, 10), step), *holes)


class Stock(NamedTuple):
    """A catalogue, and the files that it was made from, by name."""

    environ: Mapping[str, str]
    files: Mapping[str, Path]

    def run(self, *arguments: str, code: int = 0) -> str:
        """What the command prints."""
        done = in_process(*arguments, environ=self.environ)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def hits(self, name: str, *options: str) -> dict[str, Any]:
        """Hits by the name of their file, in their order."""
        query = str(self.files.get(name, name))
        found = json.loads(self.run("search", query, "-k", "20", "--json", *options))
        return {Path(hit["path"]).stem: hit for hit in found["hits"]}


def _files(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    base, copy = plate(), solids.turned(plate(), (1, 0, 0), math.pi / 2, (3, 4, 5))
    shapes = {
        "base": base,
        "turned": copy,
        "mirror": solids.mirrored(base),
        "double": solids.scaled(base, 2.0),
        "pair": parts.compound([base, parts.placed(plate(), 100, 20, 0, turn=0.3)]),
        "assembly": parts.compound([parts.placed(plate(), 5, 5, 5), parts.cylinder(9, 30, x=200)]),
        "edited": plate(4.4),
        "bracket": parts.bracket(),
        "block": parts.filleted_block(),
        "disc": parts.cylinder(30, 5),
    }
    files = {name: parts.write_step(shape, folder / f"{name}.step") for name, shape in shapes.items()}
    files["iges"] = parts.write_iges(copy, folder / "iges.igs", solids=True)
    files["facets"] = parts.write_stl(copy, folder / "facets.stl", 0.01)
    return files


@pytest.fixture(scope="module", params=["shape", "v3"])
def stock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """A catalogue with vectors of ``shape``, or with those of the configured version alone."""
    folder = tmp_path_factory.mktemp("stock")
    environ = {
        "CADML_DATA_DIR": str(folder / "data"),
        "COLUMNS": "80",
        "PARSE_WORKERS": "2",
    }
    made = Stock(environ, _files(folder / "parts"))
    made.run("ingest", str(folder / "parts"), "--version", request.param)
    return made


KINDS = {
    "base": "identical",
    "turned": "same",
    "iges": "same",
    "mirror": "mirrored",
    "double": "scaled",
    "pair": "multiple",
    "assembly": "contains",
}


def test_what_is_proved_comes_first(stock: Stock) -> None:
    """Copies, images and wholes are found and named, in the order of their kinds; only the same scores 1."""
    hits = stock.hits("base")
    assert {name: hits[name]["relation"]["kind"] for name in KINDS} == KINDS
    assert next(iter(hits)) == "base"
    assert set(list(hits)[1:3]) == {"turned", "iges"}
    assert list(hits)[3:7] == ["mirror", "double", "pair", "assembly"]
    ones = {name for name, hit in hits.items() if hit["score"] == 1.0}
    assert ones == {"base", "turned", "iges"}
    assert hits["turned"]["words"] == "same part, turned 90° about x"
    assert hits["mirror"]["words"] == "mirror image"
    assert hits["double"]["words"] == "2 ×"
    assert hits["double"]["relation"]["scale"] == pytest.approx(2.0)
    assert hits["pair"]["relation"]["count"] == 2
    assert hits["turned"]["relation"]["tolerance_mm"] > 0.0
    assert hits["turned"]["relation"]["evidence"] == "features"


def test_an_edited_hole_is_a_variant_and_never_the_same(stock: Stock) -> None:
    """It scores below 1, and what differs is named."""
    hit = stock.hits("base")["edited"]
    assert hit["relation"]["kind"] == "variant"
    assert hit["score"] < 1.0
    assert hit["words"].startswith("variant: Ø 4.4 instead of 4 mm")
    back = stock.hits("edited")
    assert {name for name, hit in back.items() if hit["score"] == 1.0} == {"edited"}


def test_facets_are_found_and_called_no_more_than_a_candidate(stock: Stock) -> None:
    """The mesh of a part comes next to what is proved, in both directions, with a score below 1."""
    hits = stock.hits("base")
    others = [name for name in hits if name not in KINDS]
    assert "facets" in others[:2]
    assert hits["facets"]["relation"]["kind"] == "same_within_mesh_error"
    assert hits["facets"]["score"] < 1.0
    back = stock.hits("facets")
    exact = {"base", "turned", "iges"}
    assert exact <= {
        name for name, hit in back.items() if hit["relation"]["kind"] == "same_within_mesh_error"
    }
    assert len(exact & set(list(back)[1:6])) == 3
    assert {name for name, hit in back.items() if hit["score"] == 1.0} == {"facets"}


def test_a_part_of_an_assembly_is_found_from_the_assembly(stock: Stock) -> None:
    """What it contains is named as a part of it."""
    hits = stock.hits("assembly")
    assert {hits[name]["relation"]["kind"] for name in ("base", "turned")} == {"part_of"}


def test_a_stored_part_finds_what_its_file_finds(stock: Stock) -> None:
    """By id the part itself is left out, and all else is the same."""
    by_file = stock.hits("base")
    by_id = stock.hits(by_file["base"]["id"])
    assert list(by_id) == list(by_file)[1:]
    assert [hit["relation"] for hit in by_id.values()] == [hit["relation"] for hit in by_file.values()][1:]


def test_filters_hold_for_what_is_proved(stock: Stock) -> None:
    """A format or a size that does not fit leaves out even the same part."""
    assert "facets" in stock.hits("base", "--format", "stl")
    assert "turned" not in stock.hits("base", "--format", "stl")
    assert "double" not in stock.hits("base", "--size-within", "5")


def test_a_version_that_is_named_answers_alone(stock: Stock) -> None:
    """``--version v3`` is the search by v3: no relations, as before."""
    hit = stock.hits("base", "--version", "v3")["turned"]
    assert "relation" not in hit


def test_a_part_without_the_version_that_ranks_is_found_by_proof(stock: Stock, tmp_path: Path) -> None:
    """The same part that got no ``shape`` vector comes first all the same."""
    path = parts.write_step(solids.turned(plate(), (0, 0, 1), 1.0), tmp_path / "late.step")
    stock.run("ingest", str(path))
    hit = stock.hits("base")["late"]
    assert (hit["relation"]["kind"], hit["score"]) == ("same", 1.0)
    stock.run("parts", "remove", hit["id"])
    assert "late" not in stock.hits("base")


def test_relations_are_chosen(stock: Stock) -> None:
    """Kinds, no mirror images, scaled copies within a share; impossible ones are refused."""
    only = stock.hits("base", "--relation", "same", "--relation", "variant")
    assert {hit["relation"]["kind"] for hit in only.values()} <= {"same", "variant"}
    assert {"turned", "iges"} <= set(only)
    right = stock.hits("base", "--no-mirror", "--scale", "same")
    assert "mirror" not in right
    assert "double" not in right
    assert {"base", "turned", "pair", "assembly"} <= set(right)
    assert "double" not in stock.hits("base", "--scale", "99")
    assert "double" in stock.hits("base", "--scale", "101")
    space, score = next(iter(right["turned"]["spaces"].items()))
    assert space in ("shape", "v3")
    assert 0.0 < score <= 1.0
    base = str(stock.files["base"])
    for told, code, options in (
        ("allowed: identical, same", 1, ("--relation", "twin")),
        ("allowed: any, same", 1, ("--scale", "-1")),
        ("combined search only", 2, ("--version", "v3", "--no-mirror")),
        ("Nothing found: no part near it is what is wanted: part_of", 0, ("--relation", "part_of")),
    ):
        done = in_process("search", base, *options, environ=stock.environ)
        assert done.returncode == code, done.stdout + done.stderr
        assert told in " ".join((done.stdout + done.stderr).split())


def test_the_terminal_shows_a_hit_in_two_lines(stock: Stock) -> None:
    """The sentence stands under the name; an explanation adds a line."""
    shown = stock.run("search", str(stock.files["base"]), "-k", "4")
    assert "same part, turned 90° about x" in shown
    assert "mirror image" in shown
    assert len(shown.strip().splitlines()) == 2 + 4 * 2
    explained = stock.run("search", str(stock.files["base"]), "-k", "20", "--explain")
    assert "differs in" in explained


def test_extra_versions_are_computed_where_a_file_allows_them(tmp_path: Path) -> None:
    """Solids and drawings get ``shape`` with no setting; others go without, once; all are searched."""
    environ = {
        "CADML_DATA_DIR": str(tmp_path / "data"),
        "PARSE_WORKERS": "1",
        "FEATURE_VERSIONS_EXTRA": "",
    }
    folder = tmp_path / "parts"
    folder.mkdir()
    parts.write_step(plate(), folder / "base.step")
    (folder / "line.dxf").write_text(drawing(LINE))
    (folder / "point.dxf").write_text(drawing(POINT))
    made = Stock(environ, {path.stem: path for path in folder.iterdir()})
    first = json.loads(made.run("ingest", str(folder), "--json"))
    assert (first["added"], first["failed"]) == (3, 0)
    again = json.loads(made.run("ingest", str(folder), "--json"))
    assert (again["unchanged"], again["failed"]) == (3, 0)
    for name, version in (("base", "shape"), ("line", "shape"), ("point", "v3")):
        found = json.loads(made.run("search", str(made.files[name]), "--json"))
        assert (found["ranked_by"], found["hits"][0]["relation"]["kind"]) == (version, "identical")


def drawing(entity: str) -> str:
    """Return a DXF with one entity."""
    return f"0\nSECTION\n2\nENTITIES\n{entity}0\nENDSEC\n0\nEOF\n"


LINE = "0\nLINE\n8\n0\n10\n0.0\n20\n0.0\n11\n9.0\n21\n5.0\n"
POINT = "0\nPOINT\n8\n0\n10\n1.0\n20\n2.0\n"
