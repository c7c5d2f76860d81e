"""Uploads: what is stored, what is recognised, and that whatever is refused leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.integration.http.server import left_on_disk, tetrahedron

Client = TestClient[Litestar]
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="part.stl"\r\n\r\n'


def analyze(client: Client, content: bytes, name: str = "part.stl", **fields: str) -> Any:
    """Upload one file."""
    return client.post("/api/v1/analyze", files={"file": (name, content)}, data=fields)


def stored(client: Client) -> int:
    """How many parts there are."""
    return len(client.get("/api/v1/parts", params={"limit": 1000}).json()["items"])


def test_an_upload_is_read_stored_and_searchable(client: Client, folder: Path) -> None:
    """201 with everything the file tells; the part, its vector and its very bytes are there afterwards."""
    content = tetrahedron(11)
    response = analyze(client, content, "bracket 11.stl", id="B-11", material="steel", label="bracket")
    assert response.status_code == 201, response.text
    answer = response.json()
    assert (answer["id"], answer["status"], answer["format"]) == ("B-11", "added", "stl")
    assert answer["sha256"] == hashlib.sha256(content).hexdigest()
    assert answer["document"]["facet_count"] == 4
    assert answer["document"]["extents"] == [11.0, 11.0, 11.0]
    assert (
        dict(zip(answer["features"]["slots"], answer["features"]["values"], strict=True))["bbox_width"] == 11
    )
    assert answer["features"]["version"] == "v3"
    assert not answer["cache_hit"]
    assert answer["timings"]["total"] > 0
    assert answer["warnings"]

    part = client.get("/api/v1/parts/B-11").json()
    assert (part["name"], part["material"], part["label"]) == ("bracket 11.stl", "steel", "bracket")
    assert part["document"] == answer["document"]
    assert part["vectors"] == {"v3": "extracted"}
    assert client.get("/api/v1/vectors/B-11").json()["values"] == answer["features"]["values"]
    kept = folder / "uploads" / answer["sha256"][:2] / answer["sha256"]
    assert kept.read_bytes() == content
    found = client.post("/api/v1/vectors/search", json={"id": "B-11", "include_self": True, "k": 1}).json()
    assert (found["hits"][0]["id"], found["hits"][0]["score"]) == ("B-11", 1.0)


def test_the_same_file_again_is_recognised(client: Client, app: Litestar) -> None:
    """It is not read a second time, and gives no second part; under another name it is a part of its own."""
    content = tetrahedron(12)
    first = analyze(client, content, "twelve.stl")
    before = app.state.services.runtime.readers.statistics.read
    again = analyze(client, content, "twelve.stl")
    other = analyze(client, content, "dozen.stl")
    assert app.state.services.runtime.readers.statistics.read == before
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json()["status"] == "unchanged"
    assert again.json()["cache_hit"]
    assert again.json()["id"] == first.json()["id"] != other.json()["id"]
    assert other.json()["duplicates"] == [first.json()["id"]]
    assert again.json()["features"] == first.json()["features"]


def test_a_part_can_get_a_new_file(client: Client, folder: Path) -> None:
    """The same id with another content replaces it; the old file goes when no part has it any more."""
    old, new = tetrahedron(13), tetrahedron(13.5)
    assert analyze(client, old, id="rev").json()["status"] == "added"
    answer = analyze(client, new, id="rev")
    assert (answer.status_code, answer.json()["status"]) == (200, "replaced")
    assert client.get("/api/v1/parts/rev").json()["sha256"] == hashlib.sha256(new).hexdigest()
    names = {path.name for path in left_on_disk(folder)}
    assert hashlib.sha256(new).hexdigest() in names
    assert hashlib.sha256(old).hexdigest() not in names


def test_deleting_keeps_a_file_that_another_part_has(client: Client, folder: Path) -> None:
    """The file goes with the last of its parts."""
    content = tetrahedron(14)
    name = hashlib.sha256(content).hexdigest()
    for part_id in ("one", "two"):
        assert analyze(client, content, id=part_id).status_code == 201
    assert client.delete("/api/v1/parts/one").status_code == 204
    assert name in {path.name for path in left_on_disk(folder)}
    assert client.delete("/api/v1/parts/two").status_code == 204
    assert name not in {path.name for path in left_on_disk(folder)}
    assert client.delete("/api/v1/parts/two").status_code == 404


def test_nothing_is_kept_where_storing_was_not_wanted(client: Client, folder: Path) -> None:
    """``store=false`` answers the same and leaves nothing."""
    before, files = stored(client), len(left_on_disk(folder))
    response = analyze(client, tetrahedron(15), options='{"store": false, "calculate_similarity": true}')
    assert (response.status_code, response.json()["status"], response.json()["id"]) == (
        200,
        "not_stored",
        None,
    )
    assert response.json()["similar"]
    assert (stored(client), len(left_on_disk(folder))) == (before, files)


def test_similar_parts_come_with_the_answer(client: Client) -> None:
    """A twin of a stored part is its nearest, and the part itself is not among its own neighbours."""
    analyze(client, tetrahedron(16), "sixteen.stl", id="sixteen")
    response = analyze(
        client, tetrahedron(16, at=1), id="twin", options='{"calculate_similarity": true, "top_k": 3}'
    )
    similar = response.json()["similar"]
    assert len(similar) == 3
    assert (similar[0]["id"], similar[0]["score"]) == ("sixteen", 1.0)


def test_a_batch_reports_each_file(client: Client) -> None:
    """One bad file, one empty one and one that is too large do not fail the good ones; order is kept."""
    files = [
        ("files", ("good.stl", tetrahedron(17))),
        ("files", ("bad.stl", b"solid nothing\nfacet nonsense\n")),
        ("files", ("empty.stl", b"")),
        ("files", ("large.stl", b"x" * (1024**2 + 1))),
        ("files", ("also good.stl", tetrahedron(17.5))),
    ]
    response = client.post("/api/v1/analyze/batch", files=files, data={"material": "brass"})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (5, 2, 3)
    assert [item["file_name"] for item in answer["items"]] == [name for _, (name, _) in files]
    codes = [item["error"]["code"] if item["error"] else None for item in answer["items"]]
    assert codes == [None, "PARSE_FAILED", "INPUT_FORMAT_INVALID", "INPUT_SIZE_EXCEEDED", None]
    good = answer["items"][0]["result"]["id"]
    assert client.get(f"/api/v1/parts/{good}").json()["material"] == "brass"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("junk.xyz", b"\x00\x01\x02", "UNSUPPORTED_FORMAT"),
        ("part.stl", b"", "INPUT_FORMAT_INVALID"),
        ("part.stl", b"ISO-10303-21;\nHEADER;\n", "INPUT_FORMAT_INVALID"),
        ("part.stl", tetrahedron()[:-7], "PARSE_FAILED"),
        ("part.stl", b"x" * (1024**2 + 1), "INPUT_SIZE_EXCEEDED"),
    ],
)
def test_a_refused_file_leaves_nothing(
    client: Client, folder: Path, name: str, content: bytes, code: str
) -> None:
    """The error has the client's file name in it, not the server's; catalogue and disk are as before."""
    before, files = stored(client), left_on_disk(folder)
    response = analyze(client, content, name)
    problem = response.json()
    assert problem["code"] == code, problem
    assert "incoming" not in response.text
    assert str(folder) not in response.text
    assert (stored(client), left_on_disk(folder)) == (before, files)


def part(name: str, content: bytes = b"x", more: str = "") -> bytes:
    """One part of a form, written by hand."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


GOOD = FILE + tetrahedron(99) + b"\r\n"
TRICKS = {
    "nothing": b"",
    "no boundary inside": b"just text",
    "only the end": b"--b--\r\n",
    "no end": GOOD,
    "cut in a file": FILE + tetrahedron(99)[:100],
    "cut in a header": b'--b\r\nContent-Disposition: form-data; name="fi',
    "no file": part("material") + b"--b--\r\n",
    "file without a name": part("file", b"x") + b"--b--\r\n",
    "empty file name": part("file", b"x", '; filename=""') + b"--b--\r\n",
    "two files": GOOD + GOOD + b"--b--\r\n",
    "unknown field": GOOD + part("matrial") + b"--b--\r\n",
    "unknown file": GOOD + part("other", b"x", '; filename="x.stl"') + b"--b--\r\n",
    "field twice": GOOD + part("material") + part("material") + b"--b--\r\n",
    "nameless field": GOOD + b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    "headless field": GOOD + b"--b\r\n\r\nx\r\n--b--\r\n",
    "huge name": GOOD + part("m" * 100_000) + b"--b--\r\n",
    "huge header": GOOD + b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--b--\r\n",
    "many headers": GOOD + b"--b\r\n" + b"X: y\r\n" * 1000 + b"\r\nx\r\n--b--\r\n",
    "thousands of parts": GOOD + part("material") * 5000 + b"--b--\r\n",
    "huge field": GOOD + part("material", b"m" * 70_000) + b"--b--\r\n",
    "long material": GOOD + part("material", b"m" * 2_000) + b"--b--\r\n",
    "field that is no text": GOOD + part("material", b"\xff\xfe") + b"--b--\r\n",
    "field with a NUL": GOOD + part("material", b"st\x00eel") + b"--b--\r\n",
    "id that walks": GOOD + part("id", b"../../x") + b"--b--\r\n",
    "blank id": GOOD + part("id", b"   ") + b"--b--\r\n",
    "long id": GOOD + part("id", b"i" * 201) + b"--b--\r\n",
    "options that are no JSON": GOOD + part("options", b"{") + b"--b--\r\n",
    "unknown option": GOOD + part("options", b'{"stor": true}') + b"--b--\r\n",
    "option of a wrong type": GOOD + part("options", b'{"store": "no"}') + b"--b--\r\n",
    "option out of bounds": GOOD + part("options", b'{"top_k": 0}') + b"--b--\r\n",
    "name that is a folder": part("file", b"x", '; filename="../.."') + b"--b--\r\n",
    "name with a NUL": part("file", b"x", '; filename="a\x00.stl"') + b"--b--\r\n",
    "name with a line break": part("file", b"x", '; filename="a%0A.stl"') + b"--b--\r\n",
    "long name": part("file", b"x", f'; filename="{"n" * 300}.stl"') + b"--b--\r\n",
}


@pytest.mark.parametrize("body", TRICKS.values(), ids=TRICKS)
def test_a_malformed_form_is_refused_and_leaves_nothing(client: Client, folder: Path, body: bytes) -> None:
    """Whatever is wrong with the form: a structured error, nothing stored, nothing left on disk."""
    before, files = stored(client), left_on_disk(folder)
    response = client.post("/api/v1/analyze", content=body, headers=BOUNDARY)
    assert response.status_code in (413, 415, 422), response.text
    assert set(response.json()) == {"code", "stage", "message", "context", "timestamp"}
    assert (stored(client), left_on_disk(folder)) == (before, files)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 2000,
        "multipart/mixed; boundary=b",
        "application/json",
        "",
    ],
)
def test_a_form_without_a_sound_boundary_is_refused(client: Client, kind: str) -> None:
    """The type of the body must be that of a form, with a boundary."""
    response = client.post("/api/v1/analyze", content=GOOD + b"--b--\r\n", headers={"Content-Type": kind})
    assert response.status_code in (415, 422), response.text
    assert response.json()["code"] in ("INPUT_FORMAT_INVALID", "INPUT_VALIDATION_FAILED")


@pytest.mark.parametrize(
    "claimed", ["../../evil.stl", "..\\..\\evil.stl", "/etc/evil.stl", "C:\\x\\evil.stl"]
)
def test_a_file_name_is_only_its_last_component(client: Client, folder: Path, claimed: str) -> None:
    """A path in a file name says nothing about where the file goes."""
    content = tetrahedron(20 + len(claimed))
    body = part("file", content, f'; filename="{claimed}"') + b"--b--\r\n"
    response = client.post("/api/v1/analyze", content=body, headers=BOUNDARY)
    assert response.status_code in (200, 201), response.text
    assert response.json()["file_name"] == "evil.stl"
    assert not list(folder.parent.rglob("evil*.stl"))


def test_a_batch_of_too_many_files_is_refused(client: Client, folder: Path) -> None:
    """More files than are allowed: nothing of the batch is stored."""
    before, files = stored(client), left_on_disk(folder)
    many = [("files", (f"{n}.stl", tetrahedron(50 + n))) for n in range(6)]
    response = client.post("/api/v1/analyze/batch", files=many)
    assert response.status_code == 422
    assert response.json()["code"] == "INPUT_VALIDATION_FAILED"
    assert (stored(client), left_on_disk(folder)) == (before, files)


def test_pages_go_through_everything_once(client: Client) -> None:
    """Following the cursor shows every part exactly once, in a stable order, also with a filter."""
    for number in range(5):
        analyze(client, tetrahedron(70 + number), f"{number}.stl", project="paging")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"limit": 2, "project": "paging"}
        if cursor:
            query["cursor"] = cursor
        page = client.get("/api/v1/parts", params=query).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"{number}.stl" for number in range(5)]


def test_filters_apply_before_the_cut(client: Client) -> None:
    """k hits come back wherever k parts fit the filter, however far away they are."""
    for number in range(3):
        analyze(client, tetrahedron(500 + number), id=f"far-{number}", material="unobtainium")
    analyze(client, tetrahedron(5), id="near")
    answer = client.post(
        "/api/v1/vectors/search", json={"id": "near", "k": 3, "material": "unobtainium"}
    ).json()
    assert {hit["id"] for hit in answer["hits"]} == {"far-0", "far-1", "far-2"}


def test_a_registered_vector_can_be_found_and_deleted(client: Client) -> None:
    """201 the first time, 200 afterwards; deleting the vector of a part without a file deletes the part."""
    values = [float(number) for number in range(22)]
    body = {"id": "from outside", "vector": values, "meta": {"by": "test"}}
    assert client.post("/api/v1/vectors/register", json=body).status_code == 201
    again = client.post("/api/v1/vectors/register", json=body)
    assert (again.status_code, again.json()["status"]) == (200, "unchanged")
    found = client.post("/api/v1/vectors/search", json={"vector": values, "k": 1, "explain": True}).json()
    assert (found["hits"][0]["id"], found["hits"][0]["score"]) == ("from outside", 1.0)
    assert len(found["hits"][0]["explanation"]) == 22
    assert client.get("/api/v1/vectors/from outside").json()["source"] == "registered"
    assert client.delete("/api/v1/vectors/from outside").status_code == 204
    assert client.get("/api/v1/parts/from outside").status_code == 404


def test_two_parts_are_compared_with_reasons(client: Client) -> None:
    """The shares of the slots sum to 1, and the score is that of the search."""
    analyze(client, tetrahedron(30), id="thirty")
    analyze(client, tetrahedron(33), id="thirty-three")
    pair = client.post("/api/v1/vectors/similarity", json={"id_a": "thirty", "id_b": "thirty-three"}).json()
    assert sum(item["share"] for item in pair["explanation"]) == pytest.approx(1.0)
    hits = client.post("/api/v1/vectors/search", json={"id": "thirty", "k": 100}).json()["hits"]
    score = next(hit["score"] for hit in hits if hit["id"] == "thirty-three")
    assert pair["score"] == pytest.approx(score, abs=1e-6)


def test_analyses_are_counted(client: Client) -> None:
    """Good and refused files move the counters that the operator watches."""

    def count(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    good, bad = 'analysis_requests_total{status="success"}', 'analysis_requests_total{status="error"}'
    coded = 'analysis_errors_total{code="INPUT_FORMAT_INVALID",stage="input"}'
    before = [count(name) for name in (good, bad, coded)]
    analyze(client, tetrahedron(81))
    analyze(client, b"")
    assert [count(name) for name in (good, bad, coded)] == [value + 1 for value in before]
    assert count('http_requests_total{app_name="cadml",method="POST",path="/api/v1/analyze"') > 0


def test_the_document_is_complete(client: Client) -> None:
    """Every operation of the OpenAPI document has a summary, answers, error answers and its security."""
    document = client.get("/docs/openapi.json").json()
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            statuses = set(operation["responses"])
            assert {"422", "500"} <= statuses, (method, path)
            assert "400" not in statuses
            if path.startswith("/api/v1/") and path != "/api/v1/health":
                assert "401" in statuses
                assert operation["security"]
            if method in ("post", "patch") and "requestBody" in operation:
                assert {"413", "415"} <= statuses


def test_an_upload_may_state_its_unit(client: Client) -> None:
    """Numbers are converted, the unit is named; another unit is another reading, none keeps what was said."""
    content = tetrahedron(2.25)
    for unit, extent in (("in", 57.15), ("", 57.15), ("cm", 22.5)):
        answer = analyze(client, content, "unit.stl", **({"unit": unit} if unit else {})).json()
        assert answer["document"]["extents"] == pytest.approx([extent] * 3)
        assert not any("no unit" in warning for warning in answer["warnings"])
    assert answer["document"]["unit"] == "cm"
    refused = analyze(client, content, "unit.stl", unit="furlong")
    assert refused.status_code == 422
    assert "unit" in refused.json()["message"]


def test_an_upload_that_failed_is_not_read_again(client: Client, app: Litestar) -> None:
    """The same bytes are refused at once, under the name they come by now, until a retry is asked for."""
    readers = app.state.services.runtime.readers
    torn = tetrahedron(2.5)[:200]
    assert analyze(client, torn, "first.stl").json()["code"] == "PARSE_FAILED"
    before = readers.statistics.refused
    again = analyze(client, torn, "second.stl").json()
    assert again["code"] == "PARSE_FAILED"
    assert again["context"]["remembered"]
    assert readers.statistics.refused == before
    retried = analyze(client, torn, "third.stl", options='{"retry": true}').json()
    assert retried["code"] == "PARSE_FAILED"
    assert "remembered" not in retried["context"]
    assert readers.statistics.refused == before + 1
