"""What the HTTP server costs: searches against a bare ASGI application, uploads against the reading itself.

    python tests/benchmarks/bench_server.py [--seconds 4] [--rounds 3]

Every figure is a ratio against a baseline of the same run, on the same server (uvicorn, uvloop, httptools)
and from the same client (16 connections kept alive, in this process).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.settings import load_settings

KEY = "benchmark-key"
VECTORS, SLOTS, K, CONNECTIONS = 10_000, 24, 10, 16


def settings(folder: Path) -> Any:
    """Return the settings of the measured server."""
    named = {"data_dir": str(folder), "api_keys": (KEY,), "feature_version": "v4", "log_level": "warning"}
    return load_settings(named, environ={})


def values(count: int) -> np.ndarray[Any, Any]:
    """Return raw values like those of real parts: positive, over several magnitudes."""
    return np.exp(np.random.default_rng(7).normal(2.0, 2.0, size=(count, SLOTS)))


# The servers, each a factory that uvicorn calls in a process of its own.


def cadml_app() -> Any:
    """Return the product."""
    from cadml_hostapp.app import create_app
    from cadml_hostapp.server import frozen

    return frozen(create_app(settings(Path(os.environ["BENCH_FOLDER"]))))


def flat_index() -> Any:
    """Return a Faiss index with the same vectors."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(SLOTS)
    index.add(np.log1p(values(VECTORS)).astype(np.float32))
    return index


def answer(index: Any, vector: Any, k: int) -> dict[str, Any]:
    """Search and shape the hits."""
    query = np.log1p(np.asarray(vector, dtype=np.float64))[np.newaxis].astype(np.float32)
    distances, ids = index.search(query, k)
    hits = [{"id": int(i), "distance": float(d)} for i, d in zip(ids[0], distances[0], strict=True)]
    return {"hits": hits}


def bare_app() -> Any:
    """Return an application without a framework: decode, search, encode."""
    import msgspec

    index = flat_index()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            while True:
                kind = (await receive())["type"].rpartition(".")[2]
                await send({"type": f"lifespan.{kind}.complete"})
                if kind == "shutdown":
                    return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = msgspec.json.decode(body)
        found = msgspec.json.encode(answer(index, asked["vector"], asked["k"]))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(found)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found})

    return app


def fastapi_app() -> Any:
    """Return the same search behind FastAPI."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    index, app = flat_index(), FastAPI()

    class Asked(BaseModel):
        vector: list[float]
        k: int = 10

    async def search(asked: Asked) -> dict[str, Any]:
        return answer(index, asked.vector, asked.k)

    search.__annotations__ = {"asked": Asked, "return": dict[str, Any]}
    app.post("/api/v1/vectors/search")(search)
    return app


@contextmanager
def served(factory: str, folder: Path, runner: str = "uvicorn") -> Iterator[int]:
    """Run one server; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    target = f"bench_server:{factory}"
    commands = {
        "uvicorn": ["-m", "uvicorn", target, "--factory", "--loop", "uvloop", "--http", "httptools"],
        "granian": ["-m", "granian", "--interface", "asgi", "--factory", target, "--loop", "uvloop"],
    }
    quiet = {"uvicorn": ["--no-access-log", "--log-level", "warning"], "granian": ["--no-access-log"]}
    environ = {**os.environ, "BENCH_FOLDER": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, *commands[runner], "--port", str(port), *quiet[runner]],
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_open(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_until_open(port: int) -> None:
    """Wait until a server listens."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")


# The client.


def request(body: bytes, path: str = "/api/v1/vectors/search", kind: str = "application/json") -> bytes:
    """Return one HTTP request."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {KEY}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> bytes:
    """Send one request and return the body of its answer."""
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(head.decode() + (await reader.read(2000)).decode())
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


async def throughput(port: int, seconds: float) -> float:
    """Return searches per second over all connections."""
    queries = [
        request(json.dumps({"vector": row.tolist(), "k": K}).encode()) for row in values(VECTORS)[:256]
    ]
    end = time.perf_counter() + seconds
    done = 0

    async def client(start: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = start
        while time.perf_counter() < end:
            await exchange(reader, writer, queries[number % len(queries)])
            number += 1
            done += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(17 * number) for number in range(CONNECTIONS)))
    return done / (time.perf_counter() - began)


def run(job: Any) -> Any:
    """Run a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(job)


def fill(folder: Path) -> None:
    """Store the vectors that are searched."""
    with Catalog.open(settings(folder).effective_database_url) as catalog:
        rows = values(VECTORS)
        catalog.add(
            [
                NewPart(id=f"part-{number}", material="steel", vectors={"v4": Vector(row, "registered")})
                for number, row in enumerate(rows)
            ]
        )


def compare(jobs: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Run each job in turn, several times; return the medians."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            found[name].append(job())
    return {name: statistics.median(figures) for name, figures in found.items()}


def searches(folder: Path, seconds: float, rounds: int) -> None:
    """Print searches per second of each server, and the ratio to the bare one."""
    servers = {"bare ASGI, uvicorn": ("bare_app", "uvicorn"), "cadml, uvicorn": ("cadml_app", "uvicorn")}
    if installed("fastapi"):
        servers["FastAPI, uvicorn"] = ("fastapi_app", "uvicorn")
    if installed("granian"):
        servers["cadml, granian"] = ("cadml_app", "granian")

    def job(factory: str, runner: str) -> Callable[[], float]:
        def measure() -> float:
            with served(factory, folder, runner) as port:
                run(throughput(port, 0.5))
                return float(run(throughput(port, seconds)))

        return measure

    found = compare({name: job(*server) for name, server in servers.items()}, rounds)
    print(f"\nsearch, k = {K}, {VECTORS:,} vectors of {SLOTS} slots, {CONNECTIONS} connections")
    base = found["bare ASGI, uvicorn"]
    for name, figure in found.items():
        print(f"  {name:20} {figure:8.0f} /s   {figure / base:5.2f} x bare")


def installed(module: str) -> bool:
    """Tell whether a peer can be measured here."""
    from importlib.util import find_spec

    return find_spec(module) is not None


def sphere(triangles: int, seed: int) -> bytes:
    """Return a binary STL of random triangles on a sphere: a new content for each seed."""
    corners = np.random.default_rng(seed).normal(size=(triangles, 3, 3))
    corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    record = np.zeros(
        triangles, dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]
    )
    record["corners"] = corners * 50
    return bytes(80) + np.uint32(triangles).tobytes() + record.tobytes()


def uploads(folder: Path, count: int = 60) -> None:
    """Print what an upload of a 100 kB STL costs beside its reading in a worker process."""
    from cadml_core.runtime import build_runtime

    contents = [sphere(2000, seed) for seed in range(2 * count)]
    with build_runtime(settings(folder)) as runtime:
        paths = []
        for number, content in enumerate(contents[:count]):
            path = folder / f"{number}.stl"
            path.write_bytes(content)
            paths.append(path)
        runtime.readers.allow_reading(folder)
        runtime.readers.read(paths[0], ["v4"])
        reading = []
        for path in paths:
            start = time.perf_counter()
            runtime.readers.read(path, ["v4"])
            reading.append(time.perf_counter() - start)
    half = count + count // 2
    with served("cadml_app", folder) as port:
        passing = run(upload_times(port, contents[count:half], '{"store": false}'))
        uploading = run(upload_times(port, contents[half:], "{}"))
    base = statistics.median(reading)
    ours, only = statistics.median(uploading), statistics.median(passing)
    print(f"\nupload of a new {len(contents[0]) // 1000} kB STL, one after the other, stored durably")
    print(f"  reading it in a worker  {base * 1000:6.2f} ms")
    print(f"  POST, store = false     {only * 1000:6.2f} ms   {only / base:5.2f} x reading")
    print(f"  POST /analyze           {ours * 1000:6.2f} ms   {ours / base:5.2f} x reading")


async def upload_times(port: int, contents: list[bytes], options: str) -> list[float]:
    """Upload each content over one connection; return the seconds of each but the first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for number, content in enumerate(contents):
        head = f'--b\r\ncontent-disposition: form-data; name="file"; filename="n{number}.stl"\r\n\r\n'
        tail = f'\r\n--b\r\ncontent-disposition: form-data; name="options"\r\n\r\n{options}\r\n--b--\r\n'
        body = head.encode() + content + tail.encode()
        start = time.perf_counter()
        await exchange(reader, writer, request(body, "/api/v1/analyze", "multipart/form-data; boundary=b"))
        times.append(time.perf_counter() - start)
    writer.close()
    return times[1:]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        searches(folder, arguments.seconds, arguments.rounds)
        uploads(folder)


if __name__ == "__main__":
    main()
