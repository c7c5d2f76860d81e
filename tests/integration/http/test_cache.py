"""The feature cache over HTTP and from the command line, on one server and on several."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_hostapp.app import create_app
from tests.integration.command import in_process
from tests.integration.http.server import (
    ADMIN_HEADERS,
    WITHOUT_KERNEL,
    LiveServer,
    settings_for,
    tetrahedron,
    wait_until_ready,
)

Client = TestClient[Litestar]
CACHE = "/api/v1/health/features/cache"
ALIAS = "/api/v1/features/cache"


def opened(folder: Path, **named: Any) -> Client:
    """An admin's client of a server; enter it to start the server."""
    client = TestClient(create_app(settings_for(folder, **named)), raise_server_exceptions=False)
    client.headers.update(ADMIN_HEADERS)
    return client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """An admin's client of a server with an empty catalogue."""
    with opened(tmp_path) as found:
        wait_until_ready(found)
        yield found


def analyse(client: Client, size: float, *, store: bool = True, name: str = "part.stl") -> dict[str, Any]:
    """Upload a part."""
    answer = client.post(
        "/api/v1/analyze",
        files={"file": (name, tetrahedron(size))},
        data={"options": json.dumps({"store": store})},
    )
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_is_not_stored_is_read_once(client: Client) -> None:
    """Asked about again, it comes from memory with the same values; one miss, then one hit."""
    first, again = (analyse(client, 10, store=False) for _ in range(2))
    assert (first["cache_hit"], again["cache_hit"]) == (False, True)
    assert again["features"] == first["features"]
    state = client.get(CACHE).json()
    assert (state["hits"], state["misses"], state["size"], state["hit_ratio"]) == (1, 1, 1, 0.5)
    metrics = client.get("/metrics", headers={"Accept": "text/plain"}).text
    assert re.search(r"^feature_cache_hits_total \d", metrics, re.M)


def test_what_comes_from_memory_is_stored_as_if_it_had_been_read(client: Client) -> None:
    """After an upload that stores nothing, and again after the part was deleted."""
    plain = analyse(client, 10, store=False)
    for _ in range(2):
        part = analyse(client, 10)
        assert (part["cache_hit"], part["status"]) == (True, "added")
        assert (part["features"], part["document"]) == (plain["features"], plain["document"])
        assert client.get(f"/api/v1/vectors/{part['id']}").status_code == 200
        assert client.delete(f"/api/v1/parts/{part['id']}").status_code == 204


def test_a_unit_is_not_mixed_up(client: Client) -> None:
    """The same bytes in inches are another reading, and do not come from memory."""
    plain = analyse(client, 10, store=False)
    inches = client.post(
        "/api/v1/analyze",
        files={"file": ("part.stl", tetrahedron(10))},
        data={"unit": "in", "options": '{"store": false}'},
    ).json()
    assert not inches["cache_hit"]
    assert inches["features"]["values"] != plain["features"]["values"]


@pytest.mark.parametrize("path", [CACHE, ALIAS])
def test_a_size_is_applied_and_rolled_back(client: Client, path: str) -> None:
    """As the documentation says: 200, a second apply 409, a rollback 200, another 409."""
    tried = client.patch(f"{path}/apply", params={"dry_run": True, "capacity": 5}).json()
    assert (tried["dry_run"], tried["after"]["capacity"], tried["snapshot"]) == (True, 5, None)
    applied = client.patch(f"{path}/apply", params={"dry_run": False, "capacity": 5, "ttl_seconds": 60})
    assert applied.status_code == 200
    snapshot = applied.json()["snapshot"]
    assert (snapshot["previous_capacity"], snapshot["previous_ttl"]) == (1000, 3600)
    second = client.patch(f"{path}/apply")
    assert (second.status_code, second.json()["code"]) == (409, "CACHE_TUNING_SNAPSHOT_ACTIVE")
    assert second.json()["stage"] == "cache_tuning"
    state = client.get(path).json()
    assert (state["capacity"], state["ttl_seconds"], state["configured"]["capacity"]) == (5, 60, 1000)
    assert client.post(f"{path}/rollback").json()["restored"] == {"capacity": 1000, "ttl_seconds": 3600}
    again = client.post(f"{path}/rollback")
    assert (again.status_code, again.json()["code"]) == (409, "CACHE_TUNING_NO_SNAPSHOT")
    assert client.get(f"{path}/tuning").json()["action"] == "not_enough_traffic"


def test_a_late_rollback_is_gone(tmp_path: Path) -> None:
    """410 once the window has closed."""
    with opened(tmp_path, cache_rollback_window_seconds=1) as client:
        assert client.patch(f"{CACHE}/apply", params={"capacity": 5}).status_code == 200
        time.sleep(1.1)
        late = client.post(f"{CACHE}/rollback")
        assert (late.status_code, late.json()["code"]) == (410, "CACHE_TUNING_ROLLBACK_EXPIRED")


def test_changes_need_the_admin_token(client: Client) -> None:
    """Looking and warming need the key alone; impossible sizes are refused with the parameter's name."""
    del client.headers["X-Admin-Token"]
    assert client.patch(f"{CACHE}/apply").json()["code"] == "PERMISSION_DENIED"
    assert client.post(f"{CACHE}/rollback").json()["code"] == "PERMISSION_DENIED"
    assert client.post(f"{CACHE}/prewarm").status_code == 200
    client.headers.update(ADMIN_HEADERS)
    wrong = client.patch(f"{CACHE}/apply", params={"capacity": 0})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "INPUT_VALIDATION_FAILED")
    assert "capacity" in wrong.json()["message"]


def test_a_restarted_server_is_warmed_with_what_was_hit(tmp_path: Path) -> None:
    """The trail and the size survive, the snapshot does not; batch queries count as well."""
    with opened(tmp_path) as client:
        ids = [analyse(client, size)["id"] for size in (10, 11, 12)]
        analyse(client, 10)  # a hit
        client.post("/api/v1/vectors/similarity/batch", json={"ids": ids[2:]})
        client.patch(f"{CACHE}/apply", params={"capacity": 77})
    with opened(tmp_path) as client:
        assert client.post(f"{CACHE}/rollback").json()["code"] == "CACHE_TUNING_NO_SNAPSHOT"
        assert client.get(CACHE).json()["capacity"] == 77
        report = client.post(f"{CACHE}/prewarm").json()
        assert report["by_source"] == {"recent_hits": 1, "batch_references": 1, "frequent": 0}
        assert (report["requested"], report["warmed"]) == (2, 2)
        before = client.get(CACHE).json()["hits"]
        analyse(client, 10)
        assert client.get(CACHE).json()["hits"] == before + 1


def eventually(check: Callable[[], bool]) -> None:
    """Wait until something holds, at most half a minute."""
    end = time.monotonic() + 30
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_command_acts_on_a_running_server(client: Client, tmp_path: Path) -> None:
    """What `cadml cache` applies, rolls back and warms, the server follows; it sees what the server did."""
    for _ in range(2):
        analyse(client, 10)

    def cache(*arguments: str, code: int = 0) -> Any:
        environ = {"CADML_DATA_DIR": str(tmp_path), "CADML_PLUGINS_DISABLE": ",".join(WITHOUT_KERNEL)}
        done = in_process("cache", *arguments, "--json", environ=environ)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    eventually(lambda: cache("status")["hits"] == 1)
    assert cache("status")["processes"] == 1
    assert cache("tune")["action"] == "not_enough_traffic"
    assert cache("apply", "--capacity", "9", "--dry-run")["changed"]
    cache("apply", "--capacity", "9", "--ttl", "0")
    cached = client.app.state.services.runtime.intake.cache
    eventually(lambda: cached.statistics().capacity == 9)
    assert cache("apply", code=1)["code"] == "CACHE_TUNING_SNAPSHOT_ACTIVE"
    assert cache("rollback")["restored"]["capacity"] == 1000
    assert cache("prewarm")["errors"] == 0
    for arguments in (("status",), ("tune",), ("apply", "--dry-run"), ("prewarm",)):
        environ = {"CADML_DATA_DIR": str(tmp_path), "CADML_PLUGINS_DISABLE": ",".join(WITHOUT_KERNEL)}
        assert in_process("cache", *arguments, environ=environ).returncode == 0


def test_every_worker_follows(tmp_path: Path) -> None:
    """An applied size holds on both server processes within seconds, whichever of them was asked."""
    with LiveServer(tmp_path, "--workers", "2") as server, server.client() as client:
        client.headers.update({**ADMIN_HEADERS, "Connection": "close"})
        assert client.patch(f"{CACHE}/apply", params={"capacity": 33}).status_code == 200
        time.sleep(2.5)  # neither is asked, so each must have followed by itself
        assert {client.get(CACHE).json()["capacity"] for _ in range(30)} == {33}
        eventually(lambda: client.get(CACHE).json()["processes"] == 2)
        assert client.post(f"{CACHE}/rollback").json()["restored"]["capacity"] == 1000
