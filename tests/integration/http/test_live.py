"""``cadml serve`` on the wire: crashes, slow and lying clients, several workers, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.command import in_process
from tests.integration.http.server import HEADERS, KEY, LiveServer, environment, left_on_disk, tetrahedron

UPLOADS = int(os.environ.get("CADML_TEST_UPLOADS", "40"))
"""How many uploads are under way when the server is killed; a nox session takes 200."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a short time limit for bodies and a small one for files."""
    folder = tmp_path_factory.mktemp("live")
    with LiveServer(folder, UPLOAD_TIMEOUT_SECONDS="0.5", ANALYSIS_MAX_FILE_MB="1") as found:
        yield found


def form(content: bytes, name: str = "part.stl") -> bytes:
    """A multipart body with one file."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


def request(body: bytes, length: int | None = None, extra: str = "") -> bytes:
    """A raw upload."""
    return (
        f"POST /api/v1/analyze HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n{extra}"
        f"Content-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    ).encode() + body


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Read one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += (chunk := connection.recv(65536))
        assert chunk, received
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))  # type: ignore[union-attr]
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def settled(folder: Path) -> list[Path]:
    """The uploads on disk once those of gone clients have been removed."""
    for _ in range(100):
        if not list((folder / "uploads" / "incoming").iterdir()):
            break
        time.sleep(0.05)
    return left_on_disk(folder)


def test_a_client_that_stops_in_the_middle_is_told_so(server: LiveServer) -> None:
    """A body that pauses too long is 408; what came of it is removed."""
    before = settled(server.folder)
    with server.connect() as connection:
        connection.sendall(request(form(tetrahedron(1))[:200], length=100_000))
        status, problem = answer(connection)
    assert (status, problem["code"]) == (408, "INPUT_TIMEOUT")
    assert settled(server.folder) == before


def test_a_json_body_that_stops_is_refused_too(server: LiveServer) -> None:
    """The time limit holds for every route, whether the body began to arrive or not."""
    for path in ("search", "similarity"):
        for beginning in ("", "{"):
            with server.connect() as connection:
                connection.sendall(
                    f"POST /api/v1/vectors/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{beginning}".encode()
                )
                assert answer(connection)[1]["code"] == "INPUT_TIMEOUT"


def test_an_aborted_upload_leaves_nothing(server: LiveServer) -> None:
    """The client hangs up in the middle of the file."""
    before = settled(server.folder)
    for cut in (1, 50, 100, 300, 350):
        with server.connect() as connection:
            connection.sendall(request(form(tetrahedron(2)))[:-cut])
    time.sleep(0.2)
    assert settled(server.folder) == before
    with server.client() as client:
        assert client.get("/ready").status_code == 200


def test_a_lying_content_length_is_refused(server: LiveServer) -> None:
    """One that cuts the form short, and one that announces more than is allowed before a byte is sent."""
    before = settled(server.folder)
    body = form(tetrahedron(3))
    with server.connect() as connection:
        connection.sendall(request(body, length=len(body) - 10))
        assert answer(connection)[0] == 422
    with server.connect() as connection:
        connection.sendall(request(b"", length=10**12))
        status, problem = answer(connection)
    assert (status, problem["code"]) == (413, "INPUT_SIZE_EXCEEDED")
    assert settled(server.folder) == before


def test_what_is_no_http_is_answered_in_the_same_shape(server: LiveServer) -> None:
    """Even the parser's own refusal."""
    for garbage in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01" * 20):
        with server.connect() as connection:
            connection.sendall(garbage)
            assert answer(connection)[1]["code"] == "INPUT_VALIDATION_FAILED"


def test_a_chunked_upload_is_bounded_as_well(server: LiveServer) -> None:
    """Without a Content-Length the bytes themselves are counted, and nothing waits for the end."""

    def endless() -> Iterator[bytes]:
        yield form(b"")[:-9]
        for _ in range(3000):
            yield b"x" * 1024

    with server.client() as client:
        response = client.post(
            "/api/v1/analyze",
            content=endless(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
    assert (response.status_code, response.json()["code"]) == (413, "INPUT_SIZE_EXCEEDED")
    assert not list((server.folder / "uploads" / "incoming").iterdir())


async def uploads(
    url: str, count: int, answered: dict[str, str], accepted: threading.Event, first: int = 0
) -> None:
    """Send many different files at once; note the sha256 and id of each 200 or 201."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60, limits=limits) as client:

        async def one(number: int) -> None:
            content = tetrahedron(1 + number / 100)
            with contextlib.suppress(httpx.TransportError):
                response = await client.post("/api/v1/analyze", files={"file": (f"{number}.stl", content)})
                if response.status_code in (200, 201):
                    answered[hashlib.sha256(content).hexdigest()] = response.json()["id"]
                    if len(answered) >= count // 4:
                        accepted.set()

        await asyncio.gather(*(one(first + number) for number in range(count)))


def test_killing_the_server_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """``kill -9`` in the middle of many uploads: afterwards every answered part is there as a whole, no half
    part, and no file that no part names."""
    answered: dict[str, str] = {}
    accepted = threading.Event()
    with LiveServer(tmp_path) as server:
        sender = threading.Thread(
            target=lambda: asyncio.run(uploads(server.url, UPLOADS, answered, accepted))
        )
        sender.start()
        assert accepted.wait(60)
        server.kill()
        sender.join()
    assert answered
    with LiveServer(tmp_path) as server, server.client() as client:
        listed = client.get("/api/v1/parts", params={"limit": 1000}).json()["items"]
        by_sha = {item["sha256"]: item["id"] for item in listed}
        assert answered.items() <= by_sha.items()
        for sha256, part_id in by_sha.items():
            assert client.get(f"/api/v1/vectors/{part_id}").json()["values"]
            kept = tmp_path / "uploads" / sha256[:2] / sha256
            assert hashlib.sha256(kept.read_bytes()).hexdigest() == sha256
        assert {path.name for path in left_on_disk(tmp_path)} == set(by_sha)
        hit = client.post("/api/v1/vectors/search", json={"id": listed[0]["id"], "k": 1}).json()
        assert hit["hits"] or len(listed) == 1


def test_the_server_ends_in_order(tmp_path: Path) -> None:
    """SIGTERM: uploads that were accepted are finished and answered, and the process ends with 0."""
    answered: dict[str, str] = {}
    accepted = threading.Event()
    with LiveServer(tmp_path) as server:
        with server.connect() as connection:
            body = form(tetrahedron(4))
            connection.sendall(request(body)[:-20])
            time.sleep(0.3)
            server.process.terminate()
            time.sleep(0.3)
            connection.sendall(body[-20:])
            status, said = answer(connection)
        assert (status, said["status"]) == (201, "added")
        assert server.process.wait(timeout=60) in (0, -15)
        assert not answered
        assert not accepted.is_set()
    assert [path.name for path in left_on_disk(tmp_path)] == [said["sha256"]]


def ask_until(server: LiveServer, met: Callable[[], bool]) -> bool:
    """Open connections, many at a time, until every process has had one: the system hands them out as
    it likes, and on a busy machine one process may start long after the other."""
    deadline = time.monotonic() + 60.0
    with ThreadPoolExecutor(8) as threads:
        while not met() and time.monotonic() < deadline:
            list(threads.map(lambda _: httpx.get(f"{server.url}/health", verify=False), range(32)))
    return met()


def test_several_workers_are_one_server(tmp_path: Path) -> None:
    """What one process stores, all find at once; keys and metrics are shared."""
    shared = tmp_path / "metrics"
    with LiveServer(tmp_path, "--workers", "2", PROMETHEUS_MULTIPROC_DIR=str(shared)) as server:
        for number in range(12):
            with server.client() as client:  # a connection each, so that both processes are met
                response = client.post(
                    "/api/v1/analyze", files={"file": (f"{number}.stl", tetrahedron(5 + number))}
                )
                assert response.status_code == 201, response.text
                part_id = response.json()["id"]
            for _ in range(4):
                with server.client() as client:
                    found = client.post(
                        "/api/v1/vectors/search", json={"id": part_id, "k": 1, "include_self": True}
                    ).json()
                    assert found["hits"][0]["id"] == part_id
        with server.client() as client:
            lines = client.get("/metrics").text.splitlines()
        counted = [line for line in lines if line.startswith('analysis_requests_total{status="success"}')]
        assert [float(line.split()[-1]) for line in counted] == [12.0]
        assert ask_until(server, lambda: len(list(shared.glob("counter_*.db"))) >= 2)
        assert server.stop() in (0, -15)


def test_a_fresh_server_makes_its_keys_and_says_how_to_use_them(tmp_path: Path) -> None:
    """The keys are shown once, kept for their owner only, and used again by the next start."""
    with LiveServer.without_keys(tmp_path) as server:
        told = "".join(server.said)
        key = re.search(r"API key\s+(\S+)", told).group(1)  # type: ignore[union-attr]
        token = re.search(r"admin token\s+(\S+)", told).group(1)  # type: ignore[union-attr]
        assert httpx.get(f"{server.url}/api/v1/plugins").status_code == 401
        assert httpx.get(f"{server.url}/api/v1/plugins", headers={"X-API-Key": key}).status_code == 200
    file = tmp_path / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["admin_token"] == token
    with LiveServer.without_keys(tmp_path) as server:
        assert key not in "".join(server.said)
        assert httpx.get(f"{server.url}/api/v1/plugins", headers={"X-API-Key": key}).status_code == 200


def test_a_taken_port_is_a_clear_refusal(server: LiveServer, tmp_path: Path) -> None:
    """Exit status 1 and what to do."""
    result = in_process("serve", "--port", str(server.port), environ=environment(tmp_path))
    assert result.returncode == 1
    assert "--port" in result.stderr
