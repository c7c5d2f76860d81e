"""Traffic during a fault: what was acknowledged, what clients saw, and whether it is all there afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, NamedTuple

import httpx

from tests.integration.http.server import HEADERS, LiveServer, tetrahedron


class Verdict(NamedTuple):
    """One line of the table."""

    saw: str
    """What clients got while the fault lasted."""
    lost: list[str]
    """Ids that were acknowledged and are not there."""
    recovery: str
    """How it came back."""
    problems: list[str]
    """What should not have happened."""


class Traffic:
    """Uploads and searches against one server or more; keeps what was acknowledged."""

    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)
        self.acknowledged: list[str] = []
        self.saw: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._count = 0

    def client(self, url: str, seconds: float = 60.0) -> httpx.Client:
        """A client with an API key."""
        return httpx.Client(base_url=url, headers=HEADERS, timeout=seconds, verify=False)

    def upload(self, url: str | None = None, *, seconds: float = 60.0, size: int = 0) -> str:
        """Upload one part; return what came of it: ``ok``, the code of the error, or the kind of failure."""
        with self._lock:
            self._count += 1
            number = self._count
        name = f"part-{number}"
        content = tetrahedron(1.0 + number) + bytes(size)
        try:
            with self.client(url or self.urls[0], seconds) as client:
                answer = client.post(
                    "/api/v1/analyze", files={"file": (f"{name}.stl", content)}, data={"id": name}
                )
            told = "ok" if answer.is_success else str(answer.json()["code"])
        except httpx.TransportError as error:
            told = type(error).__name__
        with self._lock:
            self.saw[told] += 1
            if told == "ok":
                self.acknowledged.append(name)
        return told

    def uploads(self, count: int, url: str | None = None) -> list[str]:
        """Upload one after the other."""
        return [self.upload(url) for _ in range(count)]

    def search(self, url: str | None = None, *, seconds: float = 60.0) -> str:
        """Search for the first part; return what came of it."""
        try:
            with self.client(url or self.urls[0], seconds) as client:
                answer = client.post("/api/v1/vectors/search", json={"id": self.acknowledged[0], "k": 1})
            return "ok" if answer.is_success else str(answer.json()["code"])
        except httpx.TransportError as error:
            return type(error).__name__

    def health(self, url: str | None = None) -> str:
        """What ``/health`` says."""
        try:
            with self.client(url or self.urls[0], 20) as client:
                return str(client.get("/health").json()["status"])
        except httpx.TransportError as error:
            return type(error).__name__

    def lost(self, url: str | None = None) -> list[str]:
        """Acknowledged parts that are not there, or are not the nearest to themselves."""
        missing = []
        with self.client(url or self.urls[0]) as client:
            for name in self.acknowledged:
                if not client.get(f"/api/v1/parts/{name}").is_success:
                    missing.append(name)
                    continue
                answer = client.post(
                    "/api/v1/vectors/search", json={"id": name, "k": 1, "include_self": True}
                ).json()
                if not answer.get("hits") or answer["hits"][0]["distance"] > 1e-6:
                    missing.append(f"{name} (search)")
        return missing

    def until_ok(self, url: str | None = None, *, seconds: float = 60.0) -> float:
        """Upload until it works again; return how long that took, in seconds."""
        start = time.monotonic()
        while (told := self.upload(url, seconds=10.0)) != "ok":
            if time.monotonic() - start > seconds:
                raise AssertionError(f"uploads do not work again: {told}")
            time.sleep(0.2)
        return time.monotonic() - start


def told(saw: Any) -> str:
    """Outcomes and how often each came."""
    return ", ".join(f"{count} {name}" for name, count in Counter(saw).most_common())


def served(server: LiveServer, uploads: int = 10) -> Traffic:
    """Traffic with a few parts there already."""
    traffic = Traffic(server.url)
    outcomes = traffic.uploads(uploads)
    assert set(outcomes) == {"ok"}, outcomes
    return traffic
