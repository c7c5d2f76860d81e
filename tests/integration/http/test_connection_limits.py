"""Limits of connections, against a raw socket: each has its setting and its code, and the others go on."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.http.server import HEADERS, KEY, LiveServer

LIMITS = {
    "HEADER_LINE_MAX_BYTES": "1000",
    "HEADERS_MAX_BYTES": "4000",
    "HEADERS_MAX_COUNT": "20",
    "HEADER_TIMEOUT_SECONDS": "1",
    "BODY_TIMEOUT_SECONDS": "1.5",
    "UPLOAD_TIMEOUT_SECONDS": "1",
    "CONNECTIONS_PER_CLIENT_MAX": "12",
    "REQUESTS_PER_CONNECTION_MAX": "5",
}


@pytest.fixture(scope="module", params=["1", "2"], ids=["one process", "two processes"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with small limits."""
    folder = tmp_path_factory.mktemp("limits")
    with LiveServer(folder, "--workers", request.param, lines=1, **LIMITS) as found:
        yield found


@pytest.fixture(autouse=True)
def _settled(server: LiveServer) -> None:
    """Wait until the connections of the test before are gone."""
    for _ in range(100):
        with contextlib.suppress(AssertionError, OSError):
            with server.connect() as connection:
                connection.sendall(request("GET", "/health"))
                assert received(connection)[0] == 200
            return
        time.sleep(0.05)


def request(method: str, path: str, *headers: str) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def received(connection: socket.socket) -> tuple[int, bytes, Any]:
    """Read one answer: status, head, body."""
    data = b""
    connection.settimeout(10)
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        assert chunk, f"closed after {data!r}"
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))  # type: ignore[union-attr]
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), head.lower(), json.loads(body)


def refused(connection: socket.socket, code: str, status: int) -> dict[str, Any]:
    """Check that the answer is this error, and that the connection ends."""
    found, head, problem = received(connection)
    assert (found, problem["code"]) == (status, code), problem
    assert b"connection: close" in head
    assert connection.recv(100) == b""
    context: dict[str, Any] = problem["context"]
    return context


ENDLESS = {
    "a line without an end": (b"GET /health HTTP/1.1\r\nX-A: ", b"a" * 500, "HEADER_LINE_MAX_BYTES"),
    "a name without an end": (b"GET /health HTTP/1.1\r\n", b"a" * 500, "HEADER_LINE_MAX_BYTES"),
    "an address without an end": (b"GET /", b"a" * 500, "HEADER_LINE_MAX_BYTES"),
    "headers without an end": (
        b"GET /health HTTP/1.1\r\n",
        b"X-A: " + b"a" * 490 + b"\r\n",
        "HEADERS_MAX_BYTES",
    ),
    "many small headers": (b"GET /health HTTP/1.1\r\n", b"X-A: a\r\n" * 25, "HEADERS_MAX_COUNT"),
    "a trailer without an end": (
        b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: ",
        b"a" * 500,
        "HEADER_LINE_MAX_BYTES",
    ),
}


@pytest.mark.parametrize(("start", "more", "limit"), ENDLESS.values(), ids=ENDLESS)
def test_headers_are_limited(server: LiveServer, start: bytes, more: bytes, limit: str) -> None:
    """431 with the setting as soon as the limit is passed; a trailer, whose request may have its answer, ends
    the connection."""
    with server.connect() as connection:
        connection.sendall(start)
        if b"chunked" in start:
            assert received(connection)[0] == 405
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                connection.sendall(more)
                time.sleep(0.01)
        if b"chunked" in start:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100) == b""
        else:
            context = refused(connection, "HEADERS_TOO_LARGE", 431)
            assert context == {"limit": limit, "allowed": int(LIMITS[limit])}


@pytest.mark.parametrize(("size", "status"), [(990, 200), (1001, 431)])
def test_a_complete_line_is_measured_too(server: LiveServer, size: int, status: int) -> None:
    """Also where all of it, and more, comes in one piece; up to the limit it is served."""
    name = "X-A: "
    with server.connect() as connection:
        connection.sendall(request("GET", "/health", name + "a" * (size - len(name) - 2)))
        assert received(connection)[0] == status


def test_a_body_in_the_same_piece_is_no_header(server: LiveServer) -> None:
    """Only headers are measured, however the bytes are cut."""
    body = b'{"vector": [' + b" " * 20_000 + b"1.0]}"
    head = (f"X-API-Key: {KEY}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    data = request("POST", "/api/v1/vectors/search", *head) + body
    for cut in (len(data), 100, 3000):
        with server.connect() as connection:
            connection.sendall(data[:cut])
            time.sleep(0.05)
            connection.sendall(data[cut:] + b"GET /health")
            assert received(connection)[2]["code"] == "DIMENSION_MISMATCH"
            connection.sendall(request("GET", "").replace(b"GET", b""))
            assert received(connection)[0] == 200


def answers(connection: socket.socket, count: int) -> list[int]:
    """The status of so many answers, however they are cut."""
    connection.settimeout(10)
    data = b""
    found: list[int] = []
    while len(found) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower()) if end else None
        if length is not None and len(rest) >= int(length[1]):
            found.append(int(head.split()[1]))
            data = rest[int(length[1]) :]
        else:
            chunk = connection.recv(65536)
            assert chunk, (found, data)
            data += chunk
    return found


@pytest.mark.parametrize("seed", range(12))
def test_where_the_bytes_are_cut_changes_nothing(server: LiveServer, seed: int) -> None:
    """Requests with bodies, in pieces and with a trailer, one after the other, arrive as they were sent."""
    body = b'{"vector": [' + b" " * 3000 + b"1.0]}"
    kind = (f"X-API-Key: {KEY}", "Content-Type: application/json")
    search = "/api/v1/vectors/search"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:2000], body[2000:]))
    data = (
        request("GET", "/health", "X-A: " + "a" * 900)
        + request("POST", search, *kind, f"Content-Length: {len(body)}")
        + body
        + request("POST", search, *kind, "Transfer-Encoding: chunked")
        + chunks
        + b"0\r\nX-Trailer: a\r\n\r\n"
        + request("GET", "/nothing")
    )
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(len(data)), 1 + seed))
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in itertools.pairwise((0, *cuts, len(data))):
            connection.sendall(data[start:end])
            time.sleep(0.005)
        assert answers(connection, 4) == [200, 409, 409, 404]


def test_one_long_header_line_delays_nobody(server: LiveServer) -> None:
    """Hundred megabytes of one line are refused at once; /health answers all the while."""

    def flood() -> None:
        with contextlib.suppress(OSError), server.connect() as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nX-A: ")
            for _ in range(100):
                connection.sendall(b"a" * 2**20)

    thread = threading.Thread(target=flood)
    thread.start()
    slowest = 0.0
    with httpx.Client(base_url=server.url) as client:
        while thread.is_alive():
            start = time.perf_counter()
            assert client.get("/health").status_code == 200
            slowest = max(slowest, time.perf_counter() - start)
    thread.join()
    assert slowest < 1.0


def test_headers_have_a_time(server: LiveServer) -> None:
    """A client that sends a byte now and then is told 408; one that says nothing is closed without a word."""
    with server.connect() as slow, server.connect() as silent:
        slow.sendall(b"GET /health HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(8):
                slow.sendall(b"X")
                time.sleep(0.2)
        assert refused(slow, "HEADER_TIMEOUT", 408) == {"allowed": 1.0}
        assert silent.recv(100) == b""


def test_a_body_has_a_time_in_total(server: LiveServer) -> None:
    """One that never pauses for long, and never ends, is 408."""
    head = (f"X-API-Key: {KEY}", "Content-Type: application/json", "Content-Length: 100000")
    with server.connect() as connection:
        connection.sendall(request("POST", "/api/v1/vectors/search", *head))
        with contextlib.suppress(ConnectionError):
            for _ in range(12):
                connection.sendall(b" ")
                time.sleep(0.2)
        assert refused(connection, "INPUT_TIMEOUT", 408) == {"allowed": 1.5}


def test_connections_of_one_client_are_limited(server: LiveServer) -> None:
    """Those beyond the limit are told 503; when some are closed, there is room again."""
    workers = 2 if len(set(pids(server))) > 1 else 1
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(server.connect()) for _ in range(12 * workers + 20)]
        told = []
        for connection in connections:
            connection.settimeout(0.3)
            with contextlib.suppress(TimeoutError, ConnectionError):
                told.append(connection.recv(4096))
        assert len(told) >= 20
        assert all(b" 503 " in answer and b"TOO_MANY_CONNECTIONS" in answer for answer in told if answer)
        assert any(told)
    with httpx.Client(base_url=server.url) as client:
        for _ in range(100):
            time.sleep(0.05)
            if client.get("/health").status_code == 200:
                return
    raise AssertionError("there is no room again")


def pids(server: LiveServer) -> list[int]:
    """The processes that serve."""
    import psutil

    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())] or [0]


def test_requests_on_one_connection_are_limited(server: LiveServer) -> None:
    """The last one is answered, and says that it is the last."""
    with server.connect() as connection:
        for number in range(1, 6):
            connection.sendall(request("GET", "/health"))
            status, head, _ = received(connection)
            assert status == 200
            assert (b"connection: close" in head) == (number == 5)
        assert connection.recv(100) == b""


def test_all_connections_together_are_limited(tmp_path: Path) -> None:
    """Whatever clients they are of; refusals are in the metrics."""
    with LiveServer(tmp_path, CONNECTIONS_MAX="4") as server, contextlib.ExitStack() as held:
        connections = [held.enter_context(server.connect()) for _ in range(5)]
        assert refused(connections[-1], "TOO_MANY_CONNECTIONS", 503) == {
            "limit": "CONNECTIONS_MAX",
            "allowed": 4,
        }
        connections[0].close()
        time.sleep(0.1)
        text = httpx.get(f"{server.url}/metrics", headers=HEADERS).text
        assert 'refused_connections_total{code="TOO_MANY_CONNECTIONS"} 1.0' in text
