"""Every route, asked in every wrong way: one error shape, the right code, nothing of the server's inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_core.errors import ERROR_CODES
from cadml_hostapp.app import create_app
from tests.integration.http.server import ADMIN_HEADERS, HEADERS, settings_for

Client = TestClient[Litestar]
FILLED = {"part_id": "nobody", "a": "nobody", "b": "no-one", "run": "7", "group": "0123456789ab"}
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def operations(client: Client) -> list[Operation]:
    """Every documented operation: method, path with its parameters filled in, and its description."""
    document = client.get("/docs/openapi.json").json()
    return [
        (method.upper(), re.sub(r"{(\w+)}", lambda found: FILLED[found[1]], path), operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def check(response: Any, code: str, *statuses: int) -> dict[str, Any]:
    """Require the error shape and the code."""
    problem: dict[str, Any] = response.json()
    told = f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:500]}"
    assert set(problem) == {"code", "stage", "message", "context", "timestamp"}, told
    assert problem["code"] == code, told
    assert response.status_code == ERROR_CODES[code].status, told
    assert response.status_code in statuses or not statuses, told
    assert problem["timestamp"].endswith("Z")
    assert "Traceback" not in response.text
    assert "/site-packages/" not in response.text
    assert response.headers["content-type"] == "application/json"
    return problem


def protected(operations: list[Operation]) -> Iterator[Operation]:
    """Those that need a key."""
    return (found for found in operations if found[2].get("security"))


def test_the_walk_meets_the_whole_api(operations: list[Operation]) -> None:
    """The walk is over what is documented, so one that lost its routes must not pass."""
    walked = {(method, path) for method, path, _ in operations}
    assert {
        ("POST", "/api/v1/analyze"),
        ("POST", "/api/v1/analyze/batch"),
        ("GET", "/api/v1/parts"),
        ("DELETE", "/api/v1/parts/nobody"),
        ("POST", "/api/v1/vectors/register"),
        ("POST", "/api/v1/vectors/search"),
        ("POST", "/api/v1/vectors/similarity"),
        ("GET", "/api/v1/features/slots"),
        ("GET", "/api/v1/plugins"),
        ("GET", "/ready"),
    } <= walked


def test_no_key_and_a_wrong_key_are_refused(client: Client, operations: list[Operation]) -> None:
    """Nothing under /api/v1 but its health answers without a key."""
    unprotected = {path for _, path, operation in operations if not operation.get("security")}
    assert unprotected == {"/health", "/ready", "/api/v1/health"}
    for method, path, _ in protected(operations):
        for wrong in ("", "wrong", "a-test-ke", "ÿ", "a-test-key,a-test-key"):
            response = client.request(method, path, headers={b"X-API-Key": wrong.encode("latin-1")})
            assert check(response, "AUTH_FAILED", 401)["stage"] == "auth"
        del client.headers["X-API-Key"]
        try:
            check(client.request(method, path), "AUTH_FAILED", 401)
        finally:
            client.headers.update(HEADERS)


def test_admin_operations_need_the_token_too(client: Client, operations: list[Operation]) -> None:
    """A key alone, or a key with a wrong token, does not get an admin operation done."""
    for method, path, operation in protected(operations):
        if "AdminToken" in operation["security"][0]:
            check(client.request(method, path), "PERMISSION_DENIED", 403)
            check(client.request(method, path, headers={"X-Admin-Token": "no"}), "PERMISSION_DENIED", 403)


def test_the_wrong_method_is_refused(client: Client, operations: list[Operation]) -> None:
    """405 with the methods there are, for each path."""
    methods: dict[str, set[str]] = {}
    for method, path, _ in operations:
        methods.setdefault(path, set()).add(method)
    for path, known in methods.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            response = client.request(method, path)
            if response.status_code == 405:
                check(response, "METHOD_NOT_ALLOWED")
                assert known <= set(response.headers["allow"].replace(" ", "").split(","))
            else:  # /vectors/search by GET is the vector of the id "search"
                assert response.status_code in (404, 422), (method, path, response.text)


def test_options_tells_every_method(client: Client, operations: list[Operation]) -> None:
    """Also where a path has several."""
    for path in {path for _, path, _ in operations}:
        told = set(client.options(path).headers["allow"].split(", "))
        assert {method for method, other, _ in operations if other == path} <= told, path


def test_an_unknown_address_is_refused(client: Client) -> None:
    """404 in our shape, above, in and below the API, and in the documentation."""
    for path in ("/nothing", "/api", "/api/v1/nothing", "/api/v1/parts/a/b", "/docs/nothing", "/docs/a/b"):
        check(client.get(path), "DATA_NOT_FOUND", 404)


def test_ids_do_not_walk(client: Client) -> None:
    """An id that looks like a path is an unknown id or address, never a file."""
    for part_id in ("..%2f..%2fetc%2fpasswd", "%2e%2e", "..%5c..%5ckeys.json", "%00", "%ff", "a" * 5000):
        response = client.get(f"/api/v1/parts/{part_id}")
        assert response.status_code in (404, 422), response.text
        assert "root:" not in response.text


def with_json(operations: list[Operation]) -> Iterator[Operation]:
    """Those that take a JSON body."""
    return (
        found
        for found in operations
        if "application/json" in (found[2].get("requestBody") or {}).get("content", {})
    )


def test_bodies_that_do_not_fit_are_refused_with_the_field(
    client: Client, operations: list[Operation]
) -> None:
    """No JSON, another type, an unknown field, a wrong type, nothing at all: 422 that names the field."""
    for method, path, _ in with_json(operations):
        for body in (b"", b"{", b"nope", b"\xff\xfe", b"[" * 100_000, b'"text"', b"[]", b"null", b"1e999"):
            check(send(client, method, path, body), "INPUT_VALIDATION_FAILED", 422)
        problem = check(send(client, method, path, b'{"surprise": 1}'), "INPUT_VALIDATION_FAILED", 422)
        assert "field" in problem["context"]
        problem = check(
            send(
                client, method, path, b'{"id": "x", "surprise": 1, "id_a": "x", "id_b": "y", "vector": [1]}'
            ),
            "INPUT_VALIDATION_FAILED",
        )
        assert problem["message"]


def send(client: Client, method: str, path: str, body: bytes, kind: str = "application/json") -> Any:
    """Send raw bytes."""
    return client.request(method, path, content=body, headers={**ADMIN_HEADERS, "Content-Type": kind})


def test_bodies_of_another_type_are_refused(client: Client, operations: list[Operation]) -> None:
    """A body that is not declared as what the route takes is 415."""
    for method, path, operation in operations:
        if operation.get("requestBody"):
            check(send(client, method, path, b"{}", "text/plain"), "INPUT_FORMAT_INVALID", 415)
            check(
                send(client, method, path, b"a=b", "application/x-www-form-urlencoded"),
                "INPUT_FORMAT_INVALID",
            )
            check(send(client, method, path, b"{}", "multipart/form-data"), "INPUT_FORMAT_INVALID", 415)


def test_bodies_that_are_too_large_are_refused(client: Client, operations: list[Operation]) -> None:
    """More than 8 MiB of JSON is 413, whatever is in it."""
    huge = b'{"id": "' + b"x" * (9 * 1024**2) + b'"}'
    for method, path, _ in with_json(operations):
        check(send(client, method, path, huge), "INPUT_SIZE_EXCEEDED", 413)


def test_unknown_and_wrong_query_parameters_are_refused(client: Client, operations: list[Operation]) -> None:
    """A misspelt filter must not select everything."""
    for method, path, operation in protected(operations):
        response = client.request(method, path, params={"matrial": "steel"}, headers=ADMIN_HEADERS)
        assert check(response, "INPUT_VALIDATION_FAILED", 422)["context"]["field"] == "matrial"
        for parameter in operation.get("parameters") or []:
            if parameter["in"] == "query" and parameter["schema"].get("type") == "integer":
                for wrong in ("x", "-1", "1e9", "99999999999999999999999", ""):
                    response = client.request(
                        method, path, params={parameter["name"]: wrong}, headers=ADMIN_HEADERS
                    )
                    check(response, "INPUT_VALIDATION_FAILED", 422)


def test_numbers_that_are_none_are_refused(client: Client) -> None:
    """NaN and infinity are not JSON, and a number beyond float64 is not finite."""
    for text in ("NaN", "Infinity", "-Infinity", "1e400", '"1"', "null", "true"):
        body = f'{{"vector": [{text}], "k": 1}}'.encode()
        check(send(client, "POST", "/api/v1/vectors/search", body), "INPUT_VALIDATION_FAILED", 422)


@pytest.mark.parametrize("huge", [1e30, -1e30, 1e200])
def test_values_too_large_for_the_index_are_refused(client: Client, huge: float) -> None:
    """A search or a registration with such values is 422, and the index stays in service."""
    vector = [huge] * 22
    for path, body in (
        ("/api/v1/vectors/search", {"vector": vector}),
        ("/api/v1/vectors/search", {"vector": vector, "metric": "cosine_raw"}),
        ("/api/v1/vectors/register", {"id": "huge", "vector": vector}),
    ):
        check(client.post(path, json=body), "INPUT_VALIDATION_FAILED", 422)
    check(client.get("/api/v1/parts/huge"), "DATA_NOT_FOUND", 404)
    assert client.get("/api/v1/health/faiss/health").json()["degraded"] is False


def test_no_path_parameter_tells_which_folders_exist(client: Client) -> None:
    """Whatever path a client names, there or not: the answers differ in nothing but its own words."""
    folders = ("/etc/ssl", "/nonexistent/ssl", "/root/ssl", "/proc/self")
    asks: tuple[Callable[[str], Any], ...] = (
        lambda path: client.post("/api/v1/model/reload", json={"path": path}, headers=ADMIN_HEADERS),
        lambda path: client.get(f"/api/v1/parts/{quote(path, safe='')}"),
        lambda path: client.get(path),
        lambda path: client.get("/api/v1/parts", params={"cursor": path}),
        lambda path: client.get("/api/v1/parts", params={path: "x"}),
    )
    for ask in asks:
        told = set()
        for folder in folders:
            response = ask(f"{folder}/key.pem")
            problem = response.json()
            text = json.dumps([problem["code"], problem["message"], problem["context"]])
            told.add((response.status_code, text.replace(folder, "").replace("/key.pem", "key.pem")))
        assert len(told) == 1, told


def test_a_vector_of_the_wrong_length_says_both_lengths(client: Client) -> None:
    """409 with what was expected and what was found."""
    for path, body in (
        ("/api/v1/vectors/search", {"vector": [1.0, 2.0]}),
        ("/api/v1/vectors/register", {"id": "short", "vector": [1.0, 2.0]}),
    ):
        problem = check(client.post(path, json=body), "DIMENSION_MISMATCH", 409)
        assert problem["context"] == {"expected": 22, "found": 2}
    check(client.get("/api/v1/parts/short"), "DATA_NOT_FOUND", 404)


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    """Good answers and errors alike, with the request's id."""
    for path in ("/health", "/api/v1/parts", "/nothing", "/docs", "/metrics"):
        response = client.get(path, headers={"X-Request-ID": "abc-123"})
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-request-id"] == "abc-123"
        assert "access-control-allow-origin" not in response.headers
        assert "server" not in response.headers


def test_a_strange_request_id_is_replaced(client: Client) -> None:
    """What goes into the log cannot be chosen freely."""
    for strange in ("a b", "x" * 65, "é", "<script>", ""):
        response = client.get("/health", headers={b"X-Request-ID": strange.encode()})
        assert response.headers["x-request-id"] != strange
        assert len(response.headers["x-request-id"]) == 16


def test_an_unexpected_error_tells_only_its_number(client: Client, app: Litestar) -> None:
    """An error in the server's own code answers 500 with an id that is in the log, and nothing else."""
    services = app.state.services
    runtime, services.runtime = services.runtime, None
    try:
        problem = check(client.get("/api/v1/plugins"), "INTERNAL_ERROR", 500)
    finally:
        services.runtime = runtime
    assert set(problem["context"]) == {"id"}
    assert "NoneType" not in json.dumps(problem)


def test_requests_over_the_limit_are_refused(tmp_path: Any) -> None:
    """429 with Retry-After, counted for each key over all routes; health is never limited."""
    settings = settings_for(tmp_path, rate_limit_per_minute=3, api_keys=("one", "two"))
    with TestClient(create_app(settings)) as limited:
        for path in ("/api/v1/plugins", "/api/v1/parts", "/api/v1/plugins"):
            assert limited.get(path, headers={"X-API-Key": "one"}).status_code == 200
        response = limited.get("/api/v1/parts", headers={"X-API-Key": "one"})
        check(response, "RATE_LIMITED", 429)
        assert 0 < int(response.headers["retry-after"]) <= 60
        assert limited.get("/api/v1/parts", headers={"X-API-Key": "two"}).status_code == 200
        assert limited.get("/health").status_code == 200


def test_what_no_key_is_charged_with_counts_for_the_client(tmp_path: Any) -> None:
    """Wrong keys, unknown addresses and wrong methods share the client's own count; a right key goes on."""
    with TestClient(create_app(settings_for(tmp_path, rate_limit_per_minute=3))) as limited:
        wrong = {"X-API-Key": "wrong"}
        check(limited.get("/api/v1/parts", headers=wrong), "AUTH_FAILED", 401)
        check(limited.get("/nothing"), "DATA_NOT_FOUND", 404)
        check(limited.delete("/health"), "METHOD_NOT_ALLOWED", 405)
        for response in (
            limited.get("/api/v1/parts", headers=wrong),
            limited.get("/api/v1/parts"),
            limited.get("/nothing"),
            limited.delete("/health"),
        ):
            check(response, "RATE_LIMITED", 429)
            assert 0 < int(response.headers["retry-after"]) <= 60
        check(limited.get("/api/v1/parts/none", headers=HEADERS), "DATA_NOT_FOUND", 404)
        assert limited.get("/api/v1/parts", headers=HEADERS).status_code == 200


def test_wrong_admin_tokens_count_for_their_key(tmp_path: Any) -> None:
    """Like every request with a right key."""
    with TestClient(create_app(settings_for(tmp_path, rate_limit_per_minute=2))) as limited:
        wrong = {**HEADERS, "X-Admin-Token": "wrong"}
        for _ in range(2):
            check(limited.post("/api/v1/model/rollback", headers=wrong), "PERMISSION_DENIED", 403)
        check(limited.post("/api/v1/model/rollback", headers=wrong), "RATE_LIMITED", 429)


def test_a_client_that_guesses_admin_tokens_has_to_wait(tmp_path: Any) -> None:
    """After twenty wrong ones, the right one too is refused for a while, with Retry-After."""
    with TestClient(create_app(settings_for(tmp_path))) as client:
        wrong = {**HEADERS, "X-Admin-Token": "wrong"}
        for _ in range(20):
            check(client.post("/api/v1/model/rollback", headers=wrong), "PERMISSION_DENIED", 403)
        for headers in (wrong, ADMIN_HEADERS):
            response = client.post("/api/v1/model/rollback", headers=headers)
            check(response, "RATE_LIMITED", 429)
            assert response.headers["retry-after"] == "1"
        assert client.get("/api/v1/parts", headers=HEADERS).status_code == 200


def test_searches_count_against_the_limit_too(tmp_path: Any) -> None:
    """Answered by the fast path or by the route, each search is counted once and told what is left."""
    settings = settings_for(tmp_path, rate_limit_per_minute=4)
    fast, slow = "/api/v1/vectors/search", "/api/v1/vectors/search?"
    with TestClient(create_app(settings)) as limited:
        limited.headers.update(HEADERS)
        left = []
        for path, origin in ((fast, {}), (slow, {"Origin": "https://a.example"}), (fast, {})):
            body = {"vector": [1.0] * 22, "k": 1}
            response = limited.post(path, json=body, headers=origin)
            assert response.status_code == 200
            left.append(response.headers["ratelimit-remaining"])
        assert left == ["3", "2", "1"]
        assert limited.get("/api/v1/plugins").headers["ratelimit-remaining"] == "0"
        check(limited.post(fast, json=body), "RATE_LIMITED", 429)


def test_cross_origin_calls_are_off_unless_configured(tmp_path: Any) -> None:
    """Only the named origin is told that it may call."""
    settings = settings_for(tmp_path, cors_origins=("https://shop.example",))
    with TestClient(create_app(settings)) as open_to_one:
        open_to_one.headers.update(HEADERS)
        named = open_to_one.get("/api/v1/plugins", headers={"Origin": "https://shop.example"})
        assert named.headers["access-control-allow-origin"] == "https://shop.example"
        other = open_to_one.get("/api/v1/plugins", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
