"""Models that die, hang, eat memory and flood, against a live server under upload load.

    python -m tests.integration.http.hostile_live --seconds 20

Prints the latency of searches and of the operator's requests, with a good model and with each hostile one,
and fails where an acknowledged upload is lost, an operator waits for more than a second, or a process is
left.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron
from tests.integration.http.turning_models import DEEDS, Sleeps
from tests.unit.classifier.tiny import Constant

ROOT = Path(__file__).parents[3]
LONGEST = 1.0
"""Seconds that an operator's request may take."""


class Load:
    """What goes on while a model serves: uploads, searches, and an operator who looks and rolls back."""

    def __init__(self, server: LiveServer, first: int) -> None:
        self.server = server
        self.number = first
        self.acknowledged: dict[str, str] = {}
        self.classified: Counter[str] = Counter()
        self.searches: list[float] = []
        self.operator: list[float] = []
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def run(self, seconds: float, path: str | None) -> None:
        """Keep it up for so long; reload a model every two seconds where one is named."""
        loops = [self._upload, self._upload, self._search, self._look]
        if path is not None:
            loops += [lambda client: self._reload(client, path), self._roll_back]
        threads = [threading.Thread(target=self._repeat, args=(loop,)) for loop in loops]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stop.set()
        for thread in threads:
            thread.join()

    def _repeat(self, one: Callable[[httpx.Client], None]) -> None:
        with self.server.client() as client:
            client.headers.update(ADMIN_HEADERS)
            while not self._stop.is_set():
                try:
                    one(client)
                except Exception as error:  # noqa: BLE001 - reported at the end
                    self.problems.append(f"{type(error).__name__}: {error}")
                    return

    def _upload(self, client: httpx.Client) -> None:
        with self._lock:
            self.number += 1
            content = tetrahedron(1 + self.number / 1000)
        answer = client.post("/api/v1/analyze", files={"file": (f"{self.number}.stl", content)})
        if answer.status_code not in (200, 201):
            self.problems.append(f"upload: {answer.status_code} {answer.text}")
            return
        found = answer.json()
        self.acknowledged[hashlib.sha256(content).hexdigest()] = found["id"]
        self.classified[found["classification"]["label"] if found["classification"] else "(null)"] += 1
        if not found["classification"] and not any("MODEL_UNAVAILABLE" in one for one in found["warnings"]):
            self.classified["(null, no model)"] += 1

    def _search(self, client: httpx.Client) -> None:
        start = time.perf_counter()
        answer = client.post("/api/v1/vectors/search", json={"vector": [1.0] * 22, "k": 5})
        self.searches.append(time.perf_counter() - start)
        assert answer.status_code == 200, answer.text
        time.sleep(0.005)

    def _timed(self, ask: Callable[[], httpx.Response], allowed: tuple[int, ...]) -> None:
        start = time.perf_counter()
        answer = ask()
        self.operator.append(time.perf_counter() - start)
        assert answer.status_code in allowed, answer.text

    def _look(self, client: httpx.Client) -> None:
        for path in ("/ready", "/health", "/api/v1/model/version"):
            self._timed(lambda path=path: client.get(path), (200,))  # type: ignore[misc]
        time.sleep(0.1)

    def _reload(self, client: httpx.Client, path: str) -> None:
        for name in (path, "sleeps.pkl"):
            answer = client.post("/api/v1/model/reload", json={"path": name})
            # One that the scan refuses never runs, and would show nothing.
            assert answer.json().get("code") != "MODEL_OPCODE_BLOCKED", answer.text
        self._stop.wait(2)

    def _roll_back(self, client: httpx.Client) -> None:
        self._stop.wait(3)
        self._timed(lambda: client.post("/api/v1/model/rollback"), (200, 404))


def quantile(values: list[float], share: float) -> float:
    """Milliseconds that so large a share of the requests took at most."""
    return 1000 * sorted(values)[min(len(values) - 1, int(share * len(values)))]


def write_models(folder: Path) -> None:
    """The good model and the hostile ones."""
    folder.mkdir()
    models: dict[str, Any] = {kind.__name__.lower(): kind(kind.__name__) for kind in (*DEEDS, Sleeps)}
    for name, model in {"good": Constant("good"), **models}.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model))


def scenario(folder: Path, name: str, seconds: float, first: int) -> tuple[Load, list[str]]:
    """Run a server with a good model, and a hostile one beside it where one is named."""
    with LiveServer(
        folder,
        PYTHONPATH=str(ROOT),
        MODEL_OPCODE_WHITELIST="tests.*",
        MODEL_PREDICT_TIMEOUT_SECONDS="1",
        MODEL_LOAD_TIMEOUT_SECONDS="5",
        MODEL_MEMORY_MB="1024",
    ) as server:
        with server.client() as client:
            client.headers.update(ADMIN_HEADERS)
            answer = client.post("/api/v1/model/reload", json={"path": "good.pkl"})
            assert answer.status_code == 200, answer.text
        load = Load(server, first)
        load.run(seconds, None if name == "good" else f"{name}.pkl")
        problems = [*load.problems, *missing(server, load)]
        processes = psutil.Process(server.process.pid).children(recursive=True)
    _, alive = psutil.wait_procs(processes, timeout=10)
    problems += [f"left running: {process.cmdline()}" for process in alive]
    if max(load.operator) > LONGEST:
        problems.append(f"an operator waited {max(load.operator):.2f} s")
    return load, problems


def missing(server: LiveServer, load: Load) -> list[str]:
    """Return what was acknowledged and is not there."""
    with server.client() as client:
        return [
            f"lost: {part_id}"
            for part_id in load.acknowledged.values()
            if client.get(f"/api/v1/parts/{part_id}").status_code != 200
        ]


def main() -> int:
    """Print the table; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each model")
    seconds = parser.parse_args().seconds
    print(
        f"{'model':8} {'uploads':>8} {'search p50':>11} {'p99':>8} {'operator p99':>13} {'worst':>8}  answers"
    )
    wrong, plain = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder) / "models")
        names = ["good", *(kind.__name__.lower() for kind in DEEDS)]
        for turn, name in enumerate(names):
            load, problems = scenario(Path(folder), name, seconds, 100_000 * turn)
            p50, p99 = quantile(load.searches, 0.5), quantile(load.searches, 0.99)
            plain = plain or p99
            print(
                f"{name:8} {len(load.acknowledged):8} {p50:8.1f} ms {p99:5.1f} ms"
                f" {quantile(load.operator, 0.99):10.1f} ms {quantile(load.operator, 1):5.0f} ms"
                f"  {dict(load.classified)}; p99 of search {p99 / plain:.2f} x",
                flush=True,
            )
            wrong += [f"{name}: {problem}" for problem in problems]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
