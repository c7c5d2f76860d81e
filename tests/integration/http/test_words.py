"""Over HTTP, too, parts are found by words and size, and a refusal lists what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.integration.http.server import tetrahedron

Client = TestClient[Litestar]
SEARCH = "/api/v1/vectors/search"


@pytest.fixture(scope="module")
def ids(client: Client) -> list[str]:
    """Three uploaded tetrahedra of 1, 2 and 3 mm."""
    found = []
    for size, name in ((1, "M8 bolt"), (2, "M8 nut"), (3, "plate")):
        answer = client.post(
            "/api/v1/analyze",
            files={"file": (f"{name}.stl", tetrahedron(size))},
            data={"material": "Stähle", "id": f"t{size}"},
        )
        assert answer.status_code == 201, answer.text
        found.append(answer.json()["id"])
    return found


def hits(client: Client, **body: Any) -> list[str]:
    """Ids that a search finds."""
    answer = client.post(SEARCH, json=body)
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


def test_words_narrow_before_the_cut(client: Client, ids: list[str]) -> None:
    """In searches by id and by vector, in batches, and in the list of parts."""
    assert hits(client, id="t1", k=1, text="plate STÄHLE") == ["t3"]
    vector = client.get("/api/v1/vectors/t1").json()["values"]
    assert hits(client, vector=vector, k=5, text="m8") == ["t1", "t2"]
    batch = client.post("/api/v1/vectors/similarity/batch", json={"ids": ["t1"], "text": "nut"}).json()
    assert [hit["id"] for hit in batch["items"][0]["hits"]] == ["t2"]
    listed = client.get("/api/v1/parts", params={"text": "8"}).json()
    assert [item["id"] for item in listed["items"]] == ["t1", "t2"]


def test_sizes_narrow_before_the_cut(client: Client, ids: list[str]) -> None:
    """Relative to the part or vector that was asked about."""
    vector = client.get("/api/v1/vectors/t2").json()["values"]
    assert hits(client, vector=vector, size_within=1) == ["t2"]
    assert set(hits(client, id="t2", size_within=51)) == {"t1", "t3"}
    answer = client.post(SEARCH, json={"id": "t2", "size_within": 10}).json()
    assert answer["hits"] == []
    assert "excluded everything" in answer["note"]
    assert client.post(SEARCH, json={"id": "nobody", "size_within": 10}).status_code == 404
    assert client.post(SEARCH, json={"id": "t2", "size_within": -1}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "allowed"),
    [
        (SEARCH, {"id": "x", "txet": "bolt"}, "size_within"),
        (SEARCH, {"id": "x", "ranges": [{"slot": "a", "min": 1}]}, "allowed: slot, minimum, maximum"),
        ("/api/v1/vectors/similarity", {"id_a": "x", "id_c": "y"}, "allowed: id_a, id_b, metric"),
    ],
)
def test_an_unknown_field_lists_the_allowed(client: Client, path: str, body: Any, allowed: str) -> None:
    """At the place where it stands."""
    problem = client.post(path, json=body).json()
    assert problem["code"] == "INPUT_VALIDATION_FAILED"
    assert allowed in problem["message"]
