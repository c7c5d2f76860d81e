"""A model is replaced, or not, while requests go on: no answer changes for a bad one, none is dropped."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron
from tests.integration.http.turning_models import Dies, Sleeps
from tests.unit.classifier.tiny import Constant

BAD = {"torn.pkl": b"\x80\x04junk", "text.pkl": b"not a pickle", "empty.pkl": b"", "absent.pkl": None}
REQUESTS = 60


def write_models(folder: Path) -> None:
    """A good model that always says bolt, and several that no server should take."""
    folder.mkdir(parents=True)
    good = DummyClassifier(strategy="most_frequent").fit(np.zeros((2, 22)), ["bolt", "bolt"])
    (folder / "good.pkl").write_bytes(pickle.dumps(good))
    for name, data in BAD.items():
        if data is not None:
            (folder / name).write_bytes(data)


def test_bad_reloads_under_load_change_no_answer(tmp_path: Path) -> None:
    """While bad models are offered as fast as the server refuses them, every analysis is answered, by the
    same model as before."""
    write_models(tmp_path / "models")
    offered = threading.Event()
    with LiveServer(tmp_path) as server:

        def reload(name: str) -> tuple[int, int]:
            with server.client() as client:
                client.headers.update(ADMIN_HEADERS)
                answer = client.post("/api/v1/model/reload", json={"path": name})
                return answer.status_code, answer.json().get("load_seq", 0)

        def offer() -> Counter[int]:
            codes: Counter[int] = Counter()
            while not offered.is_set():
                codes.update(reload(name)[0] for name in BAD)
            return codes

        def analyse(number: int) -> tuple[int, str, str]:
            with server.client() as client:
                files = {"file": (f"{number}.stl", tetrahedron(5 + number % 7))}
                answer = client.post("/api/v1/analyze", files=files, data={"options": '{"store": false}'})
                found = answer.json()["classification"]
                return answer.status_code, found["label"], found["model_version"]

        assert reload("good.pkl") == (200, 1)
        with ThreadPoolExecutor(9) as threads:
            refusals = threads.submit(offer)
            answers = set(threads.map(analyse, range(REQUESTS)))
            offered.set()
            codes = refusals.result()
        with server.client() as client:
            state = client.get("/api/v1/model/version").json()
    assert len(answers) == 1, answers
    assert {(code, label) for code, label, _ in answers} == {(200, "bolt")}
    assert set(codes) == {404, 422}
    assert state["load_seq"] == 1
    assert state["last_error"]["stage"] == "model_reload"


OWN_MODELS: dict[str, Any] = {
    "PYTHONPATH": str(Path(__file__).parents[3]),
    "MODEL_OPCODE_WHITELIST": "tests.*",
}
"""Models of these tests are classes of their own."""


def test_a_model_that_turns_costs_answers_only(tmp_path: Path) -> None:
    """One that dies once it serves: every upload is stored and answered, the answers that it owes are null
    with a warning, and the model before it serves by itself."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "good.pkl").write_bytes(pickle.dumps(Constant("bolt")))
    (folder / "dies.pkl").write_bytes(pickle.dumps(Dies("nut")))
    with (
        LiveServer(tmp_path, **OWN_MODELS) as server,
        server.client() as client,
    ):
        client.headers.update(ADMIN_HEADERS)
        for name in ("good.pkl", "dies.pkl"):
            assert client.post("/api/v1/model/reload", json={"path": name}).status_code == 200
        labels, warnings = [], set[str]()
        for number in range(400):
            files = {"file": (f"{number}.stl", tetrahedron(5 + number))}
            answer = client.post("/api/v1/analyze", files=files)
            assert answer.status_code == 201
            found = answer.json()
            labels.append(found["classification"]["label"] if found["classification"] else None)
            if labels[-1] is None:
                assert any("MODEL_UNAVAILABLE" in warning for warning in found["warnings"])
                warnings.update(found["warnings"])
                time.sleep(0.1)
            if labels[-1] == "bolt":
                break
        state = client.get("/api/v1/model/version").json()
        health = client.get("/health").json()["model"]
        metrics = client.get("/metrics").text
    assert (labels[0], labels[-1]) == ("nut", "bolt")
    assert any("died" in warning for warning in warnings)
    assert state["current"]["path"] == "good.pkl"
    assert [one["path"] for one in state["quarantined"]] == ["dies.pkl"]
    assert (health["process"], health["quarantined"]) == ("ready", 1)
    assert 'model_prediction_failures_total{reason="died"} 3.0' in metrics
    assert "model_quarantine_total 1.0" in metrics
    with LiveServer(tmp_path, **OWN_MODELS) as server, server.client() as client:
        state = client.get("/api/v1/model/version").json()
    assert state["current"]["path"] == "good.pkl"
    assert [one["path"] for one in state["quarantined"]] == ["dies.pkl"]


def test_the_server_ends_without_waiting_for_a_model(tmp_path: Path) -> None:
    """SIGTERM while a model hangs in its trial: the reload is refused, and the process ends in order."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "sleeps.pkl").write_bytes(pickle.dumps(Sleeps("x")))
    with LiveServer(tmp_path, **OWN_MODELS) as server:

        def reload() -> tuple[int, str]:
            with server.client() as client:
                client.headers.update(ADMIN_HEADERS)
                answer = client.post("/api/v1/model/reload", json={"path": "sleeps.pkl"})
                return answer.status_code, answer.json()["code"]

        with ThreadPoolExecutor(1) as threads:
            hanging = threads.submit(reload)
            time.sleep(1.5)
            start = time.monotonic()
            assert server.stop() in (0, -signal.SIGTERM)
            assert time.monotonic() - start < 10
            assert hanging.result() == (422, "MODEL_LOAD_FAILED")
