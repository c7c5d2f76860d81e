"""Mixed traffic for some minutes against a server of two processes; watch what grows, and lose nothing.

    python -m tests.integration.http.endurance [--minutes 10]

Uploads, searches, batches, refusals, deletions and model and cache operations, from a few clients. Prints
resident memory, open files and threads of all its processes each minute. Exit 1 where something that was
acknowledged is missing, memory grew to more than 1.05 times what it was after the first fifth, threads or
files grew by more than pools that fill explain, or a request failed in a way that it must not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron

CLIENTS = 4
MOST_GROWTH = 1.05
POOLS = 22
"""Threads that both processes start as they are needed; each that works has its own connection."""
KEPT = 200
"""Parts that each client keeps; older ones are deleted, so that the catalogue does not grow."""
EXPECTED = {200, 201, 204, 404, 409, 410, 415, 422}
SAMPLE_SECONDS = 5.0


class Sample(NamedTuple):
    """What all server processes hold; readers are replaced all the time, so only their number counts."""

    seconds: float
    mebibytes: float
    files: int
    threads: int
    processes: int


class Client(threading.Thread):
    """One client's traffic."""

    def __init__(self, url: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.kept: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.problems: list[str] = []
        self._url = url
        self._number = number
        self._stop_asked = stop

    def run(self) -> None:
        """Do all kinds of things in turn."""
        with httpx.Client(base_url=self._url, headers=ADMIN_HEADERS, timeout=120, verify=False) as http:
            turn = 0
            while not self._stop_asked.is_set():
                turn += 1
                try:
                    self._turn(http, turn)
                except httpx.TransportError as error:
                    self.problems.append(f"{type(error).__name__}: {error}")

    def _say(self, answer: httpx.Response) -> httpx.Response:
        self.statuses[answer.status_code] += 1
        if answer.status_code not in EXPECTED:
            self.problems.append(f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def _turn(self, http: httpx.Client, turn: int) -> None:
        name = f"client-{self._number}-{turn}"
        size = 1.0 + self._number * 1000 + turn % 997
        file = {"file": (f"{name}.stl", tetrahedron(size))}
        if self._say(http.post("/api/v1/analyze", files=file, data={"id": name})).is_success:
            self.kept.append(name)
        if len(self.kept) > KEPT:
            oldest = self.kept.pop(0)
            self._say(http.delete(f"/api/v1/parts/{oldest}"))
        near = {"id": self.kept[turn % len(self.kept)], "k": 5, "explain": turn % 3 == 0}
        hits = self._say(http.post("/api/v1/vectors/search", json=near | {"include_self": True})).json()
        if not hits["hits"] or hits["hits"][0]["distance"] > 1e-6:
            self.problems.append(f"{near['id']} does not find itself")
        self._say(http.get("/api/v1/parts", params={"limit": 20}))
        self._say(http.post("/api/v1/vectors/search", json={"vector": [1.0]}))
        self._say(http.post("/api/v1/analyze", files={"file": ("x.stl", b"nothing")}))
        if turn % 10 == 0:
            batch = {"ids": self.kept[-20:], "top_k": 3}
            self._say(http.post("/api/v1/vectors/similarity/batch", json=batch))
            self._say(http.get("/metrics"))
        if turn % 25 == self._number:
            self._say(http.post("/api/v1/model/reload", json={"path": "absent.pkl"}))
            self._say(http.patch("/api/v1/health/features/cache/apply", params={"dry_run": "true"}))
            self._say(http.post("/api/v1/health/features/cache/prewarm"))


def look(server: LiveServer, began: float) -> Sample:
    """Measure every process of the server; a reader that ends meanwhile is left out."""
    root = psutil.Process(server.process.pid)
    workers = [root, *(child for child in root.children() if "fork_server" not in " ".join(child.cmdline()))]
    memory = files = threads = 0
    for process in workers:
        memory += process.memory_info().rss
        files += process.num_fds()
        threads += process.num_threads()
    everyone = len(root.children(recursive=True))
    return Sample(time.monotonic() - began, memory / 1024**2, files, threads, everyone)


def missing(server: LiveServer, clients: list[Client]) -> list[str]:
    """Return what was acknowledged, not deleted, and is not there."""
    with server.client() as http:
        return [
            name
            for client in clients
            for name in client.kept
            if not http.get(f"/api/v1/parts/{name}").is_success
        ]


def growth(samples: list[Sample]) -> dict[str, float]:
    """Compare the last fifth with the second: the first fills caches and pools."""
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]

    def ratio(field: str) -> float:
        before, after = (statistics.median(getattr(one, field) for one in some) for some in (early, late))
        return float(after / before)

    more = {field: late[-1]._asdict()[field] - early[0]._asdict()[field] for field in ("files", "threads")}
    return {"mebibytes": round(ratio("mebibytes"), 3), **more}


def main() -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    chosen = parser.parse_args()
    stop = threading.Event()
    samples: list[Sample] = []
    with (
        tempfile.TemporaryDirectory() as name,
        LiveServer(Path(name), "--workers", "2", CADML_LOG_LEVEL="error") as server,
    ):
        clients = [Client(server.url, number, stop) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        began, shown = time.monotonic(), 0
        while time.monotonic() - began < chosen.minutes * 60:
            time.sleep(SAMPLE_SECONDS)
            samples.append(look(server, began))
            if samples[-1].seconds >= 60 * shown:
                shown += 1
                print(
                    "{:6.0f} s {:8.1f} MiB {:5} files {:4} threads {:3} processes".format(*samples[-1]),
                    flush=True,
                )
        stop.set()
        for client in clients:
            client.join()
        lost = missing(server, clients)
        status = server.stop()
    statuses = sum((client.statuses for client in clients), Counter[int]())
    problems = [problem for client in clients for problem in client.problems]
    grown = growth(samples)
    print(
        f"{statuses.total():,} requests {dict(sorted(statuses.items()))}; {len(problems)} bad {problems[:3]}"
    )
    print(f"growth from the second fifth to the last: {grown}; exit {status}")
    print(
        f"acknowledged and missing: {len(lost)} of {sum(len(client.kept) for client in clients)} {lost[:5]}"
    )
    flat = grown["mebibytes"] <= MOST_GROWTH and max(grown["files"] / 2, grown["threads"]) <= POOLS
    return 0 if flat and not lost and not problems and not status else 1


if __name__ == "__main__":
    sys.exit(main())
