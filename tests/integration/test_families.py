"""Families, labels and the map on the command line and over HTTP."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from litestar.testing import TestClient

from cadml_core.catalog.store import Catalog
from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for
from tests.integration.test_compare import Cadml
from tests.unit.formats import kernel_parts as parts


@pytest.fixture
def cadml(tmp_path: Path) -> Cadml:
    """The command, over a catalogue of plates and rods, four of them without a label."""
    found = Cadml(tmp_path)
    folders = {name: tmp_path / "files" / name for name in ("plates", "rods", "new")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for number in range(11):
        parts.write_step(parts.box(60 + number, 40, 4), folders["plates"] / f"flat plate {number}.step")
        parts.write_step(parts.cylinder(4, 60 + number), folders["rods"] / f"round rod {number}.step")
    for number in range(2):
        parts.write_step(parts.box(90 + number, 60, 6), folders["new"] / f"a{number}.step")
        parts.write_step(parts.cylinder(6, 90 + number), folders["new"] / f"b{number}.step")
    for name in ("plates", "rods"):
        found.text("ingest", str(folders[name]), "--label-from", "parent")
    found.text("ingest", str(folders["new"]))
    return found


def test_families_labels_and_map(cadml: Cadml, tmp_path: Path) -> None:
    """Two families with names and sizes; labels are suggested, given when they are accepted, and drawn."""
    found = cadml.json("families", "--cut", "0.6")
    assert {one["name"] for one in found["families"]} == {"plates", "rods"}
    assert found["parts"] == 26
    assert "[bold]" not in cadml.text("families", "--cut", "0.6")
    again = cadml.json("families", "--cut", "0.6")
    assert [one["id"] for one in again["families"]] == [one["id"] for one in found["families"]]
    suggested = cadml.json("families", "labels")
    told = {(one["name"][0], one["label"]) for one in suggested["suggestions"]}
    assert told == {("a", "plates"), ("b", "rods")}
    assert suggested["accepted"] == 0
    assert cadml.json("families", "labels", "--accept")["accepted"] == 4
    assert cadml.json("families", "labels")["suggestions"] == []
    for colour in ("label", "family", "format"):
        cadml.text("library", "map", str(tmp_path / "map.svg"), "--colour", colour)
        root = ET.parse(tmp_path / "map.svg").getroot()
        assert sum(element.tag.endswith("circle") for element in root.iter()) > 26


def test_families_over_http_change_nothing(cadml: Cadml, tmp_path: Path) -> None:
    """The same families, and no memory of them."""
    with TestClient(create_app(settings_for(tmp_path / "data"))) as client:
        answer = client.get("/api/v1/families", params={"cut": 0.6}, headers=HEADERS)
        assert {one["name"] for one in answer.json()["families"]} == {"plates", "rods"}
        refused = client.get("/api/v1/families", params={"cut": 3}, headers=HEADERS)
        assert refused.status_code == 422
    with Catalog.open(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite3'}") as catalog:
        assert catalog.database.fetch("SELECT count(*) FROM family_members") == [(0,)]
