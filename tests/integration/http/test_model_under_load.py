"""A model is replaced, or not, while requests go on: no answer changes for a bad one, none is dropped."""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron

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
