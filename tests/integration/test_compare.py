"""``cadml compare``: files and stored parts, with evidence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import in_process
from tests.unit.formats import kernel_parts as parts


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A chiral plate, the same turned, with a wider hole, and as facets."""

    def plate(diameter: float) -> Any:
        holes = [parts.cylinder(r / 2, 40, x=x, y=8, z=4) for r, x in ((4, 10), (diameter, 35))]
        return parts.cut(parts.box(60, 20, 10), *holes)

    made = {"plate": plate(4), "turned": parts.placed(plate(4), 5, 6, 7, turn=math.pi / 2), "wide": plate(6)}
    paths = {name: parts.write_step(shape, tmp_path / f"{name}.step") for name, shape in made.items()}
    paths["facets"] = parts.write_stl(plate(4), tmp_path / "facets.stl", 0.01)
    return {name: str(path) for name, path in paths.items()}


class Cadml:
    """Runs the command with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environ = {
            "CADML_DATA_DIR": str(folder / "data"),
            "CADML_PLUGINS_DISABLE": "dxf,iges",
            "COLUMNS": "200",
            "PARSE_WORKERS": "1",
        }

    def text(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        done = in_process(*arguments, environ=self.environ)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        """Its answer."""
        return json.loads(self.text(*arguments, "--json"))


@pytest.fixture
def cadml(tmp_path: Path) -> Cadml:
    """The command."""
    return Cadml(tmp_path)


def test_a_turned_copy_is_certified(cadml: Cadml, files: dict[str, str], tmp_path: Path) -> None:
    """The answer has kind, evidence, tolerance and motion, in JSON and in words; nothing is stored."""
    answer = cadml.json("compare", files["plate"], files["turned"])
    assert (answer["certified"], answer["relation"]["kind"]) == (True, "same")
    assert answer["words"] == "same part, turned 90° about z"
    assert len(answer["relation"]["motion"]) == 4
    text = cadml.text("compare", files["plate"], files["turned"])
    assert "same part, turned 90° about z" in text
    assert "congruent faces" in text
    assert "tolerance" in text
    assert not (tmp_path / "data").exists()


def test_an_edited_copy_is_a_variant(cadml: Cadml, files: dict[str, str]) -> None:
    """What differs is named in millimetres."""
    answer = cadml.json("compare", files["plate"], files["wide"])
    assert (answer["certified"], answer["relation"]["kind"]) == (False, "variant")
    assert answer["words"].startswith("variant: Ø 6 instead of 4 mm, volume -")


def test_facets_are_verified_by_meshes(cadml: Cadml, files: dict[str, str]) -> None:
    """Facets are the same part with the meshes as evidence; without them they are a candidate."""
    answer = cadml.json("compare", files["plate"], files["facets"])
    assert (answer["certified"], answer["relation"]["kind"]) == (True, "same")
    assert answer["relation"]["evidence"] == "mesh"
    answer = cadml.json("compare", files["plate"], files["facets"], "--no-meshes")
    assert (answer["certified"], answer["relation"]["kind"]) == (False, "same_within_mesh_error")
    edited = cadml.json("compare", files["wide"], files["facets"])
    assert not edited["certified"]


def test_stored_parts_need_no_file(cadml: Cadml, files: dict[str, str]) -> None:
    """A part of the catalogue is compared by its id, even where its file is gone."""
    cadml.text("ingest", files["plate"])
    [hit] = cadml.json("search", files["plate"], "-k", "1")["hits"]
    Path(files["plate"]).unlink()
    assert cadml.json("compare", hit["id"], files["turned"])["relation"]["kind"] == "same"
    candidate = cadml.json("compare", hit["id"], files["facets"])["relation"]
    assert candidate["kind"] == "same_within_mesh_error"
    assert "is gone" in candidate["reason"]


def test_what_is_neither_file_nor_part(cadml: Cadml, files: dict[str, str]) -> None:
    """It is said, with exit status 1."""
    assert "neither a file nor" in cadml.text("compare", files["plate"], "nothing", code=1)
