"""The combined search over HTTP: by id and by file, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_hostapp.app import create_app
from tests.integration.http.server import KEY, left_on_disk, settings_for, tetrahedron
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids

Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def app(folder: Path) -> Litestar:
    """An application that reads STEP files."""
    return create_app(settings_for(folder, plugins_disable=("dxf", "iges")))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A chiral plate, the same turned, and its mirror image."""
    tmp_path = tmp_path_factory.mktemp("files")
    step = parts.fuse(parts.box(60, 20, 10), parts.box(12, 9, 6, at=(0, 0, 10)))
    shapes = {
        "base": step,
        "turned": solids.turned(step, (0, 0, 1), math.pi / 2),
        "mirror": solids.mirrored(step),
    }
    return {
        name: parts.write_step(shape, tmp_path / f"{name}.step").read_bytes()
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def stocked(client: Client, files: dict[str, bytes]) -> Client:
    """A server with the turned plate, its mirror image and a part of facets."""
    for name in ("turned", "mirror"):
        upload(client, f"{name}.step", files[name], id=name)
    upload(client, "other.stl", tetrahedron(11), id="other")
    return client


def upload(client: Client, name: str, content: bytes, **fields: str) -> None:
    """Store a file."""
    answer = client.post("/api/v1/analyze", files={"file": (name, content)}, data=fields)
    assert answer.status_code == 201, answer.text


def search_file(client: Client, name: str, content: bytes, **fields: str) -> Any:
    """Search for a file."""
    return client.post("/api/v1/search/file", files={"file": (name, content)}, data=fields)


def test_a_file_finds_its_turned_copy_and_is_not_stored(
    stocked: Client, files: dict[str, bytes], folder: Path
) -> None:
    """Each hit has its relation with evidence and words; neither the catalogue nor the disk has the file."""
    before = left_on_disk(folder)
    answer = search_file(stocked, "base.step", files["base"])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["feature_version"], found["ranked_by"]) == ("combined", "v3")
    hits = {hit["id"]: hit for hit in found["hits"]}
    assert list(hits) == ["turned", "mirror", "other"]
    assert (hits["turned"]["score"], hits["turned"]["relation"]["kind"]) == (1.0, "same")
    assert hits["turned"]["words"] == "same part, turned 90° about z"
    assert hits["mirror"]["relation"]["kind"] == "mirrored"
    assert hits["mirror"]["score"] < 1.0
    assert hits["other"]["relation"]["kind"] == "similar"
    assert left_on_disk(folder) == before
    assert len(stocked.get("/api/v1/parts").json()["items"]) == 3


def test_options_narrow_a_search_by_file(stocked: Client, files: dict[str, bytes]) -> None:
    """Filters, k and size hold for what is proved too."""
    options = json.dumps({"format": "stl", "k": 1})
    answer = search_file(stocked, "base.step", files["base"], options=options)
    assert [hit["id"] for hit in answer.json()["hits"]] == ["other"]
    answer = search_file(stocked, "base.step", files["base"], options='{"mirror": false, "scale": 5}')
    assert [hit["id"] for hit in answer.json()["hits"]] == ["turned", "other"]
    answer = search_file(stocked, "base.step", files["base"], options='{"size_within": 1, "k": 5}')
    assert "other" not in {hit["id"] for hit in answer.json()["hits"]}
    explained = search_file(stocked, "base.step", files["base"], options='{"explain": true}').json()
    assert all(hit["explanation"] for hit in explained["hits"])


def test_a_part_is_searched_by_id(stocked: Client) -> None:
    """Named by ``feature_version``; without it the answer is that of the configured version."""
    body = {"id": "turned", "feature_version": "combined"}
    found = stocked.post("/api/v1/vectors/search", json=body).json()
    assert [(hit["id"], hit["relation"]["kind"]) for hit in found["hits"]] == [
        ("mirror", "mirrored"),
        ("other", "similar"),
    ]
    plain = stocked.post("/api/v1/vectors/search", json={"id": "turned"}).json()
    assert (
        plain == stocked.post("/api/v1/vectors/search", json={"id": "turned", "feature_version": "v3"}).json()
    )
    assert plain["feature_version"] == "v3"
    assert "relation" not in plain["hits"][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"feature_version": "v1"}, "feature_version"),
        ({"feature_version": "combined", "metric": "cosine_raw"}, "metric"),
        ({"mirror": False}, "feature_version"),
        ({"feature_version": "combined", "relations": ["twin"]}, "relations"),
        ({"feature_version": "combined", "scale": "big"}, "scale"),
        ({"feature_version": "combined", "ranges": [{"slot": "bbox_width"}]}, "ranges"),
    ],
)
def test_what_it_cannot_answer_is_refused(stocked: Client, body: dict[str, Any], field: str) -> None:
    """With the field that does not fit."""
    answer = stocked.post("/api/v1/vectors/search", json={"id": "turned", **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["context"]["field"] == field


def test_refused_files_are_named_as_they_were_sent(client: Client, folder: Path) -> None:
    """A file that cannot be read, a missing one, a wrong unit and wrong options: the error says which."""
    before = left_on_disk(folder)
    torn = search_file(client, "torn.stl", tetrahedron()[:150])
    assert torn.json()["code"] == "PARSE_FAILED"
    assert "incoming" not in torn.text
    missing = client.post("/api/v1/search/file", files={"unit": (None, "mm")})
    assert missing.json()["context"]["field"] == "file"
    wrong = search_file(client, "a.stl", tetrahedron(), unit="furlong")
    assert wrong.json()["context"]["field"] == "unit"
    wrong = search_file(client, "a.stl", tetrahedron(), options='{"colour": 1}')
    assert "allowed: " in wrong.json()["message"]
    assert left_on_disk(folder) == before


def test_uploads_are_ranked_by_shape_with_no_setting(tmp_path: Path, files: dict[str, bytes]) -> None:
    """A solid gets ``shape`` beside the configured version; what has no surface is stored without it."""
    settings = settings_for(tmp_path, plugins_disable=("iges",), feature_versions_extra=None)
    with TestClient(create_app(settings)) as client:
        client.headers["X-API-Key"] = KEY
        for name in ("turned", "mirror"):
            upload(client, f"{name}.step", files[name], id=name)
        upload(client, "line.dxf", LINE, id="line")
        has = {name: client.get(f"/api/v1/parts/{name}").json()["vectors"] for name in ("turned", "line")}
        assert set(has["turned"]) == {"v3", "shape"}
        assert "v3" in has["line"]
        assert search_file(client, "base.step", files["base"]).json()["ranked_by"] == "shape"
        body = {"id": "turned", "feature_version": "combined"}
        assert client.post("/api/v1/vectors/search", json=body).json()["ranked_by"] == "shape"
        drawn = search_file(client, "again.dxf", LINE).json()["hits"][0]
        assert (drawn["id"], drawn["relation"]["kind"]) == ("line", "identical")
        plain = client.post("/api/v1/vectors/search", json={"id": "turned"}).json()
        assert plain["feature_version"] == "v3"


LINE = b"0\nSECTION\n2\nENTITIES\n0\nLINE\n8\n0\n10\n0.0\n20\n0.0\n11\n9.0\n21\n5.0\n0\nENDSEC\n0\nEOF\n"
