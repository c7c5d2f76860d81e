"""Ask a live server the same things ten thousand times, and watch its memory and its event loop.

    python -m tests.integration.http.soak [--requests 10000] [--big-file FILE]

Prints the memory of the server process before and after, and how long a probe of /health waits while a
large file is uploaded and read. Exit 1 where memory grew by more than a tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.http.server import HEADERS, KEY, WITHOUT_KERNEL, LiveServer, tetrahedron

CONNECTIONS = 8
GROWTH = 1.10


async def many(url: str, count: int) -> None:
    """Search, list, show, refuse and upload in turn, over a few connections."""

    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=120) as http:
            for turn in range(count // CONNECTIONS // 5):
                size = 1.0 + (number * 7919 + turn) % 200
                await http.post("/api/v1/vectors/search", json={"id": "first", "k": 5})
                await http.get("/api/v1/parts", params={"limit": 20})
                await http.get("/api/v1/vectors/first")
                await http.post("/api/v1/vectors/search", json={"vector": [1.0]})
                await http.post("/api/v1/analyze", files={"file": ("part.stl", tetrahedron(size))})

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))


async def waits(url: str, meanwhile: Awaitable[Any]) -> tuple[list[float], Any]:
    """Ask for /health again and again until something is done; return the waits and its result."""
    found: list[float] = []
    task = asyncio.ensure_future(meanwhile)
    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        while not task.done():
            start = time.perf_counter()
            await http.get("/health")
            found.append(time.perf_counter() - start)
            await asyncio.sleep(0.005)
    return found, task.result()


async def upload(url: str, file: Path) -> str:
    """Upload a file from a process of its own, as any client would; return the answer's status."""
    command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-H", f"X-API-Key: {KEY}"]
    command += ["-F", f"file=@{file}", f"{url}/api/v1/analyze"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


def probe(url: str, file: Path) -> None:
    """Print how long /health takes while nothing happens, and while a file is uploaded and read."""
    idle, _ = asyncio.run(waits(url, asyncio.sleep(4)))
    busy, status = asyncio.run(waits(url, upload(url, file)))
    print(f"{file.stat().st_size / 1e6:.0f} MB file, answered {status}; /health answers after")
    for name, found in (("nothing else to do", idle), ("uploading and reading", busy)):
        print(f"  {name:22} {statistics.median(found) * 1e3:6.1f} ms, at most {max(found) * 1e3:6.1f} ms")


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return float(psutil.Process(pid).memory_info().rss) / 1024**2


def main() -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--big-file", type=Path)
    arguments = parser.parse_args()
    disabled = "" if arguments.big_file else ",".join(WITHOUT_KERNEL)
    with (
        tempfile.TemporaryDirectory() as folder,
        LiveServer(Path(folder), CADML_PLUGINS_DISABLE=disabled) as server,
    ):
        with server.client() as client:
            files = {"file": ("first.stl", tetrahedron(2))}
            client.post("/api/v1/analyze", files=files, data={"id": "first"}).raise_for_status()
        if arguments.big_file:
            probe(server.url, arguments.big_file)
        asyncio.run(many(server.url, arguments.requests // 5))  # caches fill, pools grow
        before = memory(server.process.pid)
        asyncio.run(many(server.url, arguments.requests))
        after = memory(server.process.pid)
    print(f"{arguments.requests:,} requests: {before:.1f} MiB, then {after:.1f} MiB ({after / before:.3f} x)")
    return 0 if after <= before * GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
