"""What operators do over HTTP: models, migrations, batches, the index, an old token."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_hostapp.app import create_app
from tests.integration.http.server import ADMIN, ADMIN_HEADERS, settings_for, tetrahedron, wait_until_ready

Client = TestClient[Litestar]
SIZES = (10, 11, 50)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An admin's client of a server with three parts and a vector without a file."""
    folder = tmp_path_factory.mktemp("operators")
    app = create_app(settings_for(folder, feature_version="v2", batch_similarity_max_ids=5))
    with TestClient(app) as found:
        found.headers.update(ADMIN_HEADERS)
        wait_until_ready(found)
        for size in SIZES:
            files = {"file": (f"{size}.stl", tetrahedron(size))}
            found.post("/api/v1/analyze", files=files, data={"id": f"t{size}", "material": "steel"})
        found.post("/api/v1/vectors/register", json={"id": "bare", "vector": [1.0] * 12})
        yield found


def test_a_batch_answers_each_id(client: Client) -> None:
    """Neighbours for those that are there, not_found for those that are not, in the order asked."""
    body = {"ids": ["t10", "nobody", "t50"], "top_k": 1, "material": "steel"}
    answer = client.post("/api/v1/vectors/similarity/batch", json=body).json()
    assert [(item["id"], item["status"]) for item in answer["items"]] == [
        ("t10", "success"),
        ("nobody", "not_found"),
        ("t50", "success"),
    ]
    assert [hit["id"] for hit in answer["items"][0]["hits"]] == ["t11"]
    assert {"degraded", "backend", "parallel", "savings_seconds"} <= set(answer)
    too_many = client.post("/api/v1/vectors/similarity/batch", json={"ids": ["t10"] * 6})
    assert (too_many.status_code, too_many.json()["code"]) == (422, "INPUT_VALIDATION_FAILED")


def test_a_migration_is_previewed_tried_and_done(client: Client) -> None:
    """The preview tells, a dry run changes nothing, the run gives every part its vector, a second has
    nothing left to do."""
    preview = client.get("/api/v1/vectors/migrate/preview", params={"to_version": "v4"}).json()
    assert preview["to_migrate"] == 4
    assert preview["estimated_dimension_changes"]["positive"] == 4
    assert {"avg_delta", "median_delta", "warnings", "by_version", "migration_feasible"} <= set(preview)
    body = {"to_version": "v4", "dry_run": True}
    assert client.post("/api/v1/vectors/migrate", json=body).json()["recomputed"] == 3
    assert client.get("/api/v1/vectors/t10", params={"version": "v4"}).status_code == 404
    report = client.post("/api/v1/vectors/migrate", json={"to_version": "v4"}).json()
    assert (report["recomputed"], report["by_name"], report["failed"]) == (3, 1, 0)
    assert len(client.get("/api/v1/vectors/t10", params={"version": "v4"}).json()["values"]) == 24
    assert client.post("/api/v1/vectors/migrate", json={"to_version": "v4"}).json()["total"] == 0
    status = client.get("/api/v1/vectors/migrate/status").json()
    assert status["versions"]["v4"] == 4
    assert status["running"] is None
    unknown = client.get("/api/v1/vectors/migrate/preview", params={"to_version": "v9"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "DATA_NOT_FOUND")


def test_the_index_is_rebuilt_and_switched(client: Client) -> None:
    """Recovery keeps everything findable; another backend answers the same; an unknown one is 404."""
    before = client.post("/api/v1/vectors/search", json={"id": "t10", "k": 3}).json()
    assert client.post("/api/v1/health/faiss/recover").json()["degraded"] is False
    health = client.get("/api/v1/health/faiss/health").json()
    assert (health["available"], health["backend"], health["index_size"]) == (True, "faiss", 4)
    assert {"recovery_status", "last_recovery_attempt", "degradation_history"} <= set(health)
    switched = client.post("/api/v1/vectors/backend/reload", json={"backend": "memory"}).json()
    assert switched["backend"] == "memory"
    after = client.post("/api/v1/vectors/search", json={"id": "t10", "k": 3}).json()
    assert [hit["id"] for hit in after["hits"]] == [hit["id"] for hit in before["hits"]]
    assert after["backend"] == "memory"
    assert client.post("/api/v1/vectors/backend/reload", json={"backend": "no"}).status_code == 404
    assert client.post("/api/v1/vectors/backend/reload", json={"backend": "faiss"}).status_code == 200


def test_statistics_and_differences(client: Client) -> None:
    """Counts are of parts, spreads of raw values; two parts differ where they differ."""
    stats = client.get("/api/v1/vectors/stats").json()
    assert (stats["total_parts"], stats["by_format"]["stl"], stats["by_material"]["steel"]) == (4, 3, 3)
    assert stats["feature_version"] == "v2"
    assert len(stats["slots"]) == 12
    diff = client.get("/api/v1/features/diff", params={"id_a": "t10", "id_b": "t50"}).json()
    width = next(slot for slot in diff["slots"] if slot["slot"] == "bbox_width")
    assert (width["a"], width["b"], width["difference"]) == (10.0, 50.0, 40.0)


class Opens:
    """Pickled, it opens a shell when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch /tmp/never",))


def test_a_dangerous_model_is_refused_and_leaves_the_old_one(client: Client, tmp_path: Path) -> None:
    """The refusal has the model's stage and the code of the check; nothing was run; the state tells of it."""
    folder = Path(client.app.state.services.runtime.settings.model_path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evil.pkl").write_bytes(pickle.dumps(Opens()))
    refused = client.post("/api/v1/model/reload", json={"path": "evil.pkl"})
    assert (refused.status_code, refused.json()["code"]) == (422, "MODEL_OPCODE_BLOCKED")
    assert refused.json()["stage"] == "model_reload"
    for path in ("../keys.json", "/etc/passwd", "none.pkl", "a\0b"):
        response = client.post("/api/v1/model/reload", json={"path": path})
        assert response.status_code in (404, 422), response.text
        assert "root:" not in response.text
    state = client.get("/api/v1/model/version").json()
    assert state["current"] is None
    assert state["last_error"]["code"] in ("DATA_NOT_FOUND", "INPUT_VALIDATION_FAILED")
    assert client.post("/api/v1/model/rollback").status_code == 404
    assert client.get("/api/v1/model/opcode-audit").status_code == 200


def test_an_old_admin_token_is_mentioned_in_admin_answers(tmp_path: Path) -> None:
    """After seven days, and only in what an admin did."""
    settings = settings_for(tmp_path)
    with TestClient(create_app(settings)) as first:
        first.headers.update(ADMIN_HEADERS)
        wait_until_ready(first)
        assert first.post("/api/v1/health/faiss/recover").json()["next_rotation_hint"] is None
    note = tmp_path / "admin-token-seen.json"
    aged = json.loads(note.read_text()) | {"since": (datetime.now(UTC) - timedelta(days=8)).isoformat()}
    note.write_text(json.dumps(aged))
    with TestClient(create_app(settings)) as later:
        later.headers.update(ADMIN_HEADERS)
        wait_until_ready(later)
        answer = later.post("/api/v1/health/faiss/recover")
        assert "8 days" in answer.json()["next_rotation_hint"]
        assert ADMIN not in answer.text
        assert "next_rotation_hint" not in later.get("/api/v1/health/faiss/health").json()


def test_a_model_that_serves_classifies_uploads(client: Client) -> None:
    """A harmless model of an allowed class is loaded, cited by version, and answers with each upload."""
    sklearn = pytest.importorskip("sklearn.tree")
    folder = Path(client.app.state.services.runtime.settings.model_path)
    folder.mkdir(parents=True, exist_ok=True)
    vectors = [client.get(f"/api/v1/vectors/t{size}").json()["values"] for size in SIZES]
    tree = sklearn.DecisionTreeClassifier(random_state=0).fit(vectors, ["small", "small", "large"])
    (folder / "tree.pkl").write_bytes(pickle.dumps(tree))
    loaded = client.post("/api/v1/model/reload", json={"path": "tree.pkl"})
    assert loaded.status_code == 200, loaded.text
    assert loaded.json()["load_seq"] == 1
    files = {"file": ("new.stl", tetrahedron(49))}
    answer = client.post("/api/v1/analyze", files=files, data={"options": '{"store": false}'}).json()
    assert answer["classification"]["label"] == "large"
    assert answer["classification"]["model_version"] == loaded.json()["version"]
    options = {"options": '{"store": false, "classify": false}'}
    assert client.post("/api/v1/analyze", files=files, data=options).json()["classification"] is None
