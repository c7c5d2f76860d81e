"""Fill a server's readers with files that hang, and see whether good uploads and searches still get through.

    python -m tests.integration.http.fairness [--hanging 40]

Prints how long searches and uploads take while nothing else happens, and while the readers are full. Exit 1
where a good upload fails, a small one has to wait longer than two seconds, or a search takes more than twice
as long as before at the 99th percentile.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from tests.integration.http.meshes import mesh
from tests.integration.http.server import HEADERS, KEY, LiveServer, tetrahedron

SEARCHES = 400
TIMEOUT = 30
HANGING = '''
"""An adapter whose files hang."""

from cadml_core import hookimpl


class Hanging:
    name = "hanging"
    version = "1"
    suffixes = (".hanging",)
    media_types = ()

    def sniff(self, head):
        return head.startswith(b"hanging")

    def read(self, path, limits):
        while True:
            pass


@hookimpl
def cadml_format_adapters():
    return [Hanging()]
'''


def install(folder: Path) -> None:
    """Write the adapter as an installed plugin."""
    about = folder / "hanging_adapter-1.dist-info"
    about.mkdir(parents=True)
    (folder / "hanging_adapter.py").write_text(HANGING)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging-adapter\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[cadml.v1]\nhanging = hanging_adapter\n")


class Waits:
    """How long requests took, in seconds, and what came of them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def add(self, start: float, answer: httpx.Response) -> None:
        """Note one."""
        self.seconds.append(time.perf_counter() - start)
        self.outcomes["ok" if answer.is_success else str(answer.json()["code"])] += 1

    @property
    def p99(self) -> float:
        """The 99th percentile."""
        return float(np.quantile(self.seconds, 0.99))

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.outcomes.items())
        return (
            f"{told}; median {statistics.median(self.seconds) * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms,"
            f" most {max(self.seconds) * 1000:.1f} ms"
        )


def client_of(server: LiveServer) -> httpx.Client:
    """A client that waits as long as it takes."""
    return httpx.Client(base_url=server.url, headers=HEADERS, timeout=600, verify=False)


def searches(server: LiveServer, until: threading.Event | None = None) -> Waits:
    """Search one after the other: so many, or until told to stop."""
    found = Waits()
    with client_of(server) as client:
        while len(found.seconds) < SEARCHES if until is None else not until.is_set():
            start = time.perf_counter()
            found.add(start, client.post("/api/v1/vectors/search", json={"id": "good-0", "k": 5}))
    return found


def uploads(
    server: LiveServer, first: int, count: int, clients: int = 1, content: bytes | None = None
) -> Waits:
    """Upload good files: small ones, or one content with another beginning each time."""
    found = Waits()

    def one(number: int) -> None:
        beginning = f"{f'upload {number}':<80}".encode()
        sent = beginning + content[80:] if content else tetrahedron(1.0 + number)
        files = {"file": (f"{number}.stl", sent)}
        with client_of(server) as client:
            start = time.perf_counter()
            found.add(start, client.post("/api/v1/analyze", files=files, data={"id": f"good-{number}"}))

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(one, range(first, first + count)))
    return found


def hang(server: LiveServer, number: int) -> None:
    """Upload a file that hangs; nobody waits for the answer."""
    with contextlib.suppress(httpx.TransportError), client_of(server) as client:
        client.post("/api/v1/analyze", files={"file": (f"{number}.hanging", b"hanging %d" % number)})


def slow_reader(server: LiveServer, stop: threading.Event) -> None:
    """Ask for much, and read the answer a byte at a time."""
    with server.connect() as connection:
        connection.sendall(
            f"GET /api/v1/parts?limit=500 HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode()
        )
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        while not stop.wait(0.1):
            connection.recv(1)


def main() -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hanging", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "site")
        data = folder / "data"
        data.mkdir()
        with LiveServer(
            data,
            PYTHONPATH=str(folder / "site"),
            PARSE_TIMEOUT_SECONDS=str(TIMEOUT),
            PARSE_CPU_SECONDS=str(TIMEOUT),
            CADML_LOG_LEVEL="error",
        ) as server:
            uploads(server, 0, 20)
            idle = searches(server)
            print(f"idle: searches {idle}; uploads {uploads(server, 20, 20)}", flush=True)
            for number in range(chosen.hanging):
                threading.Thread(target=hang, args=(server, number), daemon=True).start()
            time.sleep(2)
            started = time.perf_counter()
            full = searches(server)
            through = uploads(server, 40, 20)
            passed = time.perf_counter() - started
            print(f"readers full of hanging files: searches {full}; uploads {through}", flush=True)
            slow = uploads(server, 100, 10, clients=2, content=mesh(5))
            print(f"  uploads of 5 MB, 2 at a time: {slow}", flush=True)
    ratio = full.p99 / idle.p99
    print(f"p99 of searches, readers full over idle: {ratio:.2f}; good uploads all done after {passed:.1f} s")
    good = set(through.outcomes) | set(slow.outcomes) | set(full.outcomes) == {"ok"}
    return 0 if good and ratio <= 2.0 and max(through.seconds) < 2 else 1


if __name__ == "__main__":
    sys.exit(main())
