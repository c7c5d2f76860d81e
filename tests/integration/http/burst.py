"""Send many large uploads at once, and see whether each gets through and what it costs the server.

    python -m tests.integration.http.burst [--uploads 500] [--megabytes 5] [--addresses 2]

Every upload has a client of its own, and all begin at the same time, from so many addresses: each may have
256 connections. Those that are told that there are too many wait as long as ``Retry-After`` says. Meanwhile
others search, upload small files and read answers slowly. Exit 1 where an upload fails, or one that the
server refuses is not told when to come again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil

from tests.integration.http.fairness import Waits, searches, slow_reader, uploads
from tests.integration.http.meshes import mesh
from tests.integration.http.server import HEADERS, LiveServer

_PIECE = 2**16
_HEAD = 80
"""Bytes at the beginning of a binary STL that mean nothing."""


class Burst:
    """Clients that all send at once."""

    def __init__(self, server: LiveServer, content: bytes, addresses: int) -> None:
        self.server = server
        self.addresses = addresses
        self.content = memoryview(content)
        self.waits = Waits()
        self.done: list[float] = []
        self.refused: Counter[str] = Counter()
        self._start = threading.Event()
        self._lock = threading.Lock()
        self.began = 0.0

    def run(self, count: int) -> float:
        """Send so many; return the seconds until the last was answered."""
        threads = [threading.Thread(target=self._one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        self.began = time.perf_counter()
        self._start.set()
        for thread in threads:
            thread.join()
        return time.perf_counter() - self.began

    def _one(self, number: int) -> None:
        self._start.wait()
        while True:
            try:
                answer = self._send(number)
            except httpx.TransportError as error:
                self._refuse(type(error).__name__)
                time.sleep(1)
                continue
            if answer.status_code != 503:
                break
            again = answer.headers.get("retry-after")
            self._refuse("told to retry" if again else "not told when to retry")
            time.sleep(float(again or 1))
        with self._lock:
            self.waits.add(self.began, answer)
            self.done.append(time.perf_counter() - self.began)

    def _refuse(self, how: str) -> None:
        with self._lock:
            self.refused[how] += 1

    def _send(self, number: int) -> httpx.Response:
        head = (
            '--b\r\ncontent-disposition: form-data; name="file"; filename="f.stl"\r\n\r\n'
            f"{f'upload {number}':<{_HEAD}}"
        ).encode()
        part = 'content-disposition: form-data; name="id"'
        tail = f"\r\n--b\r\n{part}\r\n\r\nlarge-{number}\r\n--b--\r\n".encode()
        rest = self.content[_HEAD:]

        def body() -> Iterator[bytes]:
            yield head
            for start in range(0, len(rest), _PIECE):
                yield bytes(rest[start : start + _PIECE])
            yield tail

        headers = {
            **HEADERS,
            "content-type": "multipart/form-data; boundary=b",
            "content-length": str(len(head) + len(rest) + len(tail)),
        }
        sender = httpx.HTTPTransport(local_address=f"127.0.0.{2 + number % self.addresses}")
        with httpx.Client(base_url=self.server.url, timeout=3600, transport=sender) as client:
            return client.post("/api/v1/analyze", content=body(), headers=headers)


class Memory(threading.Thread):
    """The most memory that the server and its readers have held, in MB."""

    def __init__(self, server: LiveServer, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.server, self.all, self.descriptors = 0.0, 0.0, 0
        self._process, self._stop_event = psutil.Process(server.process.pid), stop

    def run(self) -> None:
        """Look twice a second."""
        while not self._stop_event.wait(0.5):
            own = self._process.memory_info().rss / 1e6
            total = own
            for child in self._process.children(recursive=True):
                try:
                    total += child.memory_full_info().uss / 1e6
                except psutil.Error:
                    continue
            self.server, self.all = max(self.server, own), max(self.all, total)
            self.descriptors = max(self.descriptors, self._process.num_fds())


def main() -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--addresses", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, LiveServer(Path(name), CADML_LOG_LEVEL="error") as server:
        uploads(server, 0, 20)
        idle = searches(server)
        alone = uploads(server, 20, 20)
        burst = Burst(server, mesh(chosen.megabytes), chosen.addresses)
        stop, searched = threading.Event(), []
        memory = Memory(server, stop)
        others = [threading.Thread(target=slow_reader, args=(server, stop), daemon=True) for _ in range(10)]
        searching = threading.Thread(target=lambda: searched.append(searches(server, stop)))
        small: list[Waits] = []
        sending = threading.Thread(target=lambda: small.append(uploads(server, 100, 50)))
        for thread in (memory, *others, searching, sending):
            thread.start()
        seconds = burst.run(chosen.uploads)
        sending.join()
        stop.set()
        searching.join()
    print(f"{chosen.uploads} uploads of {chosen.megabytes:g} MB at once, 10 slow readers: {seconds:.0f} s")
    print(f"  large uploads {burst.waits}")
    told = ", ".join(f"{count} {how}" for how, count in burst.refused.items()) or "none"
    print(f"  refused for want of connections: {told}")
    quarters = np.array_split(np.diff([0.0, *burst.done]), 4)
    rates = ", ".join(f"{1 / statistics.mean(quarter):.2f}" for quarter in quarters)
    print(f"  answered per second, by quarter: {rates}")
    print(f"  small uploads {small[0]}; alone {alone}")
    print(f"  searches {searched[0]}; alone {idle}")
    print(
        f"  most memory: server {memory.server:.0f} MB, with readers {memory.all:.0f} MB;"
        f" {memory.descriptors} descriptors"
    )
    good = set(burst.waits.outcomes) | set(small[0].outcomes) | set(searched[0].outcomes) == {"ok"}
    return 0 if good and not burst.refused["not told when to retry"] else 1


if __name__ == "__main__":
    sys.exit(main())
