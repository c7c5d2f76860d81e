"""``/duplicates`` over HTTP: a run in the background, groups by pages, decisions, leads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_core.catalog.exclusion import exclusive
from cadml_core.duplicates.finder import STAGE
from cadml_core.runtime import build_runtime
from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for
from tests.unit.duplicates.planted import body, library, moved, part

Client = TestClient[Litestar]
API = "/api/v1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A server over a catalogue with copies of three parts."""
    runtime = build_runtime(settings_for(tmp_path))
    generator = np.random.default_rng(0)
    for number in range(3):
        one = body(generator)
        runtime.catalog.add([part(moved(one, generator), f"{number}-{copy}") for copy in range(3)])
    with TestClient(create_app(runtime), raise_server_exceptions=False) as found:
        found.headers.update(HEADERS)
        yield found


def finished(client: Client, run: int) -> dict[str, Any]:
    """Wait for a run."""
    for _ in range(600):
        found: dict[str, Any] = client.get(f"{API}/duplicates/runs/{run}").json()
        if found["run"]["status"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_a_run_works_in_the_background_and_its_groups_come_by_pages(client: Client) -> None:
    """Started, followed, read; a second run has nothing to do."""
    started = client.post(f"{API}/duplicates/runs", json={"meshes": False})
    assert started.status_code == 202
    done = finished(client, started.json()["id"])
    assert (done["run"]["status"], done["run"]["done"], done["counts"]) == ("completed", 9, {"same": 3})
    first = client.get(f"{API}/duplicates", params={"limit": 2}).json()
    rest = client.get(f"{API}/duplicates", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert (len(first["groups"]), len(rest["groups"]), rest["next_cursor"]) == (2, 1, None)
    assert set(first["groups"][0]) >= {"id", "kind", "lead", "parts", "edges"}
    again = client.post(f"{API}/duplicates/runs", json={}).json()
    assert finished(client, again["id"])["run"]["total"] == 0
    assert [run["id"] for run in client.get(f"{API}/duplicates/runs").json()["runs"]] == [2, 1]


def test_decisions_and_leads(client: Client) -> None:
    """A pair that is different goes, comes back when that is withdrawn; a chosen part leads."""
    run = client.post(f"{API}/duplicates/runs", json={"meshes": False}).json()["id"]
    groups = finished(client, run)["groups"]
    decided = client.put(f"{API}/duplicates/decisions/0-0/0-1", json={"verdict": "different", "by": "Ada"})
    assert decided.status_code == 200
    other = client.put(f"{API}/duplicates/decisions/0-1/0-0", json={"verdict": "duplicate", "by": "Bob"})
    assert (other.status_code, other.json()["code"]) == (409, "DECISION_CONFLICT")
    assert other.json()["context"]["by"] == "Ada"
    for group in client.get(f"{API}/duplicates").json()["groups"]:
        assert not {"0-0", "0-1"} <= {part["id"] for part in group["parts"]}
    assert client.delete(f"{API}/duplicates/decisions/0-0/0-1").status_code == 204
    assert client.delete(f"{API}/duplicates/decisions/0-0/0-1").status_code == 404
    assert client.get(f"{API}/duplicates").json()["groups"] == groups
    [group] = [one for one in groups if one["lead"].startswith("1")]
    chosen = client.put(f"{API}/duplicates/groups/{group['id']}/lead", json={"part": "1-2"})
    assert chosen.json()["lead"] == "1-2"
    assert client.put(f"{API}/duplicates/groups/{group['id']}/lead", json={"part": "2-2"}).status_code == 404
    leads = {one["lead"] for one in client.get(f"{API}/duplicates").json()["groups"]}
    assert "1-2" in leads


def test_scopes_and_wrong_questions(client: Client) -> None:
    """Switches arrive; what is not possible is refused in the one shape of errors."""
    run = client.post(f"{API}/duplicates/runs", json={"meshes": False}).json()["id"]
    finished(client, run)
    assert client.get(f"{API}/duplicates", params={"folder": "/nowhere"}).json()["parts"] == 0
    assert client.get(f"{API}/duplicates", params={"kind": "scaled"}).json()["groups"] == []
    assert len(client.get(f"{API}/duplicates", params={"format": "step"}).json()["groups"]) == 3
    for path in ("?kind=alike", "?cursor=x", "/runs/99"):
        answer = client.get(f"{API}/duplicates{path}")
        assert answer.status_code in (404, 422), path
        assert set(answer.json()) == {"code", "stage", "message", "context", "timestamp"}
    wrong = client.put(f"{API}/duplicates/decisions/0-0/0-1", json={"verdict": "perhaps"})
    assert wrong.json()["code"] == "INPUT_VALIDATION_FAILED"
    assert client.put(f"{API}/duplicates/decisions/0-0/no", json={"verdict": "different"}).status_code == 404


def test_one_run_at_a_time_and_one_that_is_asked_to_stop(client: Client, tmp_path: Path) -> None:
    """Whoever holds the catalogue is not disturbed; a cancelled run ends with what it has."""
    runtime = client.app.state["services"].runtime
    with exclusive(runtime.catalog.database, STAGE):
        refused = client.post(f"{API}/duplicates/runs", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "DUPLICATES_CONFLICT")
    runtime.catalog.add([one for one, _ in library(3_000, 0.2)])
    run = client.post(f"{API}/duplicates/runs", json={"meshes": False}).json()["id"]
    assert client.post(f"{API}/duplicates/runs/{run}/cancel").status_code == 202
    assert finished(client, run)["run"]["status"] in ("cancelled", "completed")
    assert client.post(f"{API}/duplicates/runs/99/cancel").status_code == 404
