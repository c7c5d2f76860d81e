"""Pictures and models over HTTP: typed, tagged, kept by clients, and harmless."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for, tetrahedron, wait_until_ready

Client = TestClient[Litestar]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def part(client: Client) -> str:
    """The id of a stored part."""
    answer = client.post(
        "/api/v1/analyze", files={"file": ("<script>.stl", tetrahedron(31))}, data={"id": "P-31 ä"}
    )
    assert answer.status_code == 201, answer.text
    assert not [warning for warning in answer.json()["warnings"] if "picture" in warning]
    return "P-31%20%C3%A4"


def test_a_part_has_a_picture_that_clients_keep(client: Client, part: str) -> None:
    """With its type, a tag by its content, and leave to keep it; asked again, 304 without a body."""
    answer = client.get(f"/api/v1/parts/{part}/picture")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(PNG)
    assert "immutable" in answer.headers["cache-control"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    tag = answer.headers["etag"]
    again = client.get(f"/api/v1/parts/{part}/picture", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(f"/api/v1/parts/{part}/picture", headers={"If-None-Match": '"other"'})
    assert other.content == answer.content


def test_the_axes_of_the_file_are_another_picture(client: Client, part: str) -> None:
    """Drawn when first wanted, then kept: the same bytes and tag again."""
    own = client.get(f"/api/v1/parts/{part}/picture", params={"axes": "own"})
    first, second = (client.get(f"/api/v1/parts/{part}/picture", params={"axes": "file"}) for _ in range(2))
    assert first.status_code == 200, first.text
    assert first.headers["etag"] == second.headers["etag"] != own.headers["etag"]
    refused = client.get(f"/api/v1/parts/{part}/picture", params={"axes": "mine"})
    assert refused.status_code == 422
    assert refused.json()["code"] == "INPUT_VALIDATION_FAILED"


def test_a_part_has_a_model(client: Client, part: str) -> None:
    """Binary glTF, made from the kept upload."""
    answer = client.get(f"/api/v1/parts/{part}/model.glb")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.content.startswith(b"glTF\x02\0\0\0")
    assert client.get(f"/api/v1/parts/{part}/model.glb").headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("what", ["picture", "model.glb"])
def test_what_is_not_there_is_told_by_its_code(client: Client, what: str) -> None:
    """An unknown part, and a vector without a file, are 404 with a sentence."""
    client.post("/api/v1/vectors", json={"id": "bare", "vector": [1.0] * 24})
    for part in ("nobody", "bare"):
        answer = client.get(f"/api/v1/parts/{part}/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "DATA_NOT_FOUND"), answer.text


def test_a_query_file_is_drawn_and_not_stored(client: Client) -> None:
    """Nothing of it is in the catalogue afterwards, and no client keeps it."""
    before = len(client.get("/api/v1/parts", params={"limit": 1000}).json()["items"])
    answer = client.post("/api/v1/pictures", files={"file": ("query.stl", tetrahedron(32))})
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(PNG)
    assert answer.headers["cache-control"] == "no-store"
    assert len(client.get("/api/v1/parts", params={"limit": 1000}).json()["items"]) == before


def test_a_query_file_that_cannot_be_read_is_refused_by_its_name(client: Client) -> None:
    """With the code of the reading."""
    answer = client.post("/api/v1/pictures", files={"file": ("query.stl", tetrahedron(33)[:-20])})
    assert answer.status_code == 422
    assert answer.json()["code"] == "PARSE_FAILED"
    missing = client.post("/api/v1/pictures", files={})
    assert missing.status_code in (415, 422)


def test_pictures_need_a_key(client: Client, part: str) -> None:
    """As everything does."""
    for path in (f"/api/v1/parts/{part}/picture", f"/api/v1/parts/{part}/model.glb"):
        assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401


def test_pictures_can_be_switched_off(tmp_path: Path) -> None:
    """Then an upload draws none; one is still drawn when it is wanted."""
    app = create_app(settings_for(tmp_path, pictures=False))
    with TestClient(app) as client:
        client.headers.update(HEADERS)
        wait_until_ready(client)
        answer: Any = client.post(
            "/api/v1/analyze", files={"file": ("part.stl", tetrahedron())}, data={"id": "one"}
        )
        assert answer.status_code == 201
        catalog = app.state.services.runtime.catalog
        assert catalog.database.fetch("SELECT count(*) FROM pictures") == [(0,)]
        assert client.get("/api/v1/parts/one/picture").status_code == 200
        assert catalog.database.fetch("SELECT count(*) FROM pictures") == [(1,)]


def test_a_model_against_another_part_says_how_far_they_are_apart(client: Client, part: str) -> None:
    """In colours, with the largest distance in the file; a part that is not there is 404."""
    client.post("/api/v1/analyze", files={"file": ("other.stl", tetrahedron(34))}, data={"id": "P-34"})
    answer = client.get(f"/api/v1/parts/{part}/model.glb", params={"against": "P-34"})
    assert answer.status_code == 200, answer.text
    (length,) = struct.unpack_from("<I", answer.content, 12)
    content = json.loads(answer.content[20 : 20 + length])
    extras = content["asset"]["extras"]
    assert 0.5 < extras["largest_mm"] <= 3.0
    assert extras["scale_mm"] == extras["largest_mm"]
    assert "COLOR_0" in content["meshes"][0]["primitives"][0]["attributes"]
    assert client.get(f"/api/v1/parts/{part}/model.glb", params={"against": "x"}).status_code == 404
