"""Clocks that go back, parents that die, servers that are stopped, and the order of what is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import httpx
import psutil

from tests.faults.disks import Unsupported
from tests.faults.traffic import Verdict, served, told
from tests.integration.http.server import ADMIN_HEADERS, LiveServer

CACHE = "/api/v1/health/features/cache"


def clock_back(folder: Path) -> Verdict:
    """The clock of the machine is set back by a day while the server runs."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        raise Unsupported("there is no libfaketime (Debian: faketime)")
    problems = []
    moved = folder / "clock"
    moved.write_text("+0")
    with LiveServer(
        folder,
        LD_PRELOAD=str(libraries[0]),
        FAKETIME_TIMESTAMP_FILE=str(moved),
        FAKETIME_NO_CACHE="1",
        DONT_FAKE_MONOTONIC="1",
    ) as server:
        traffic = served(server)
        with traffic.client(server.url) as client:
            client.headers.update(ADMIN_HEADERS)
            before = client.get("/api/v1/parts/nothing").json()["timestamp"]
            moved.write_text("-1d")
            after = client.get("/api/v1/parts/nothing").json()["timestamp"]
            if not after < before:
                raise Unsupported(f"the clock cannot be moved: {before}, then {after}")
            uploads, searches = traffic.uploads(10), [traffic.search() for _ in range(5)]
            migrated = client.post("/api/v1/vectors/migrate", json={"to_version": "v4"}).status_code
            audited = client.get("/api/v1/model/opcode-audit").status_code
            health, cache = traffic.health(), client.get(CACHE).status_code
        if {*uploads, *searches} != {"ok"} or health != "ok" or {migrated, audited, cache} != {200}:
            problems.append(f"{told(uploads)}; {told(searches)}; {health}; {migrated}, {audited}, {cache}")
        moved.write_text("+0")
        seconds = traffic.until_ok()
        lost = traffic.lost()
    saw = f"uploads: {told(uploads)}; searches: {told(searches)}; migration {migrated}; timestamps went back"
    return Verdict(saw, lost, f"nothing to come back from ({seconds:.1f} s)", problems)


def parent_killed(folder: Path) -> Verdict:
    """The supervisor of two server processes is killed: they and their readers end; then it starts again."""
    problems: list[str] = []
    with LiveServer(folder, "--workers", "2") as server:
        traffic = served(server)
        family = psutil.Process(server.process.pid).children(recursive=True)
        server.kill()
        seconds = gone(family, problems)
    with LiveServer(folder) as server:
        traffic.urls = [server.url]
        traffic.until_ok()
        alone = psutil.Process(server.process.pid).children(recursive=True)
        server.kill()
        gone(alone, problems)
    with LiveServer(folder, "--workers", "2") as server:
        traffic.urls = [server.url]
        traffic.until_ok()
        lost = traffic.lost()
    saw = (
        f"closed connections; {len(family)} processes ended {seconds:.1f} s later, and so did"
        f" {len(alone)} readers of a server with one process"
    )
    return Verdict(saw, lost, "by starting it again", problems)


def gone(family: list[psutil.Process], problems: list[str]) -> float:
    """Wait until processes have ended; return how long that took, in seconds."""
    start = time.monotonic()
    _, alive = psutil.wait_procs(family, timeout=30)
    if alive:
        problems.append(f"{len(alive)} of {len(family)} processes live on: {[p.name() for p in alive]}")
    for process in alive:
        process.kill()
    return time.monotonic() - start


def stopped_under_load(folder: Path) -> Verdict:
    """A server is told to stop while twelve clients upload and search."""
    problems = []
    with LiveServer(folder, "--workers", "2") as server:
        traffic = served(server)
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                traffic.upload(seconds=60)

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        family = psutil.Process(server.process.pid).children(recursive=True)
        start = time.monotonic()
        server.process.terminate()
        status = server.process.wait(timeout=90)
        seconds = time.monotonic() - start
        stop.set()
        for thread in threads:
            thread.join()
        if status:
            problems.append(f"the exit status is {status}")
        _, alive = psutil.wait_procs(family, timeout=10)
        if alive:
            problems.append(f"{len(alive)} processes live on")
        unexpected = set(traffic.saw) - {"ok", "ConnectError", "ReadError", "RemoteProtocolError"}
        if unexpected:
            problems.append(f"uploads: {dict(traffic.saw)}")
    with LiveServer(folder) as server:
        traffic.urls = [server.url]
        lost = traffic.lost()
        with httpx.Client(base_url=server.url, verify=False) as client:
            ready = client.get("/ready").status_code
    saw = f"uploads: {told(traffic.saw.elements())}; exit {status} after {seconds:.1f} s"
    return Verdict(saw, lost, f"by starting it again (/ready: {ready})", problems)


def order_of_syncs(folder: Path) -> Verdict:
    """What the kernel is asked while one part is uploaded: file, folder, row, and only then the answer."""
    if shutil.which("strace") is None:
        raise Unsupported("there is no strace")
    problems = []
    trace = folder / "trace"
    with LiveServer(folder) as server:
        traffic = served(server, 3)
        tracer = subprocess.Popen(
            [
                *("strace", "-f", "-y", "-s", "40", "-o", str(trace), "-p", str(server.process.pid)),
                *("-e", "trace=fsync,fdatasync,rename,renameat,renameat2,sendto,write,writev,sendmsg"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            tracer.wait(10)
            raise Unsupported(f"strace cannot look into the server: {said.strip()}")
        time.sleep(0.5)
        outcome = traffic.upload()
        time.sleep(0.5)
        tracer.terminate()
        tracer.wait(30)
        lost = traffic.lost()
    if outcome != "ok":
        problems.append(f"the upload: {outcome}")
    steps: list[str] = []
    for line in trace.read_text(errors="replace").splitlines():
        for name, pattern in STEPS.items():
            if re.search(pattern, line) and (not steps or steps[-1] != name):
                steps.append(name)
    wanted = ["file synced", "file renamed", "folder synced", "row synced", "answer sent"]
    if steps[-len(wanted) :] != wanted:
        problems.append(f"the order is {steps}")
    return Verdict(" > ".join(steps), lost, "nothing to come back from", problems)


STEPS = {
    "file synced": r"fsync\(\d+<[^>]*/incoming/",
    "file renamed": r"rename\w*\([^)]*/incoming/",
    "folder synced": r"fsync\(\d+<[^>]*/uploads/[0-9a-f]{2}>",
    "row synced": r"f(data)?sync\(\d+<[^>]*-wal>",
    "answer sent": r"(sendto|write|writev|sendmsg)\(\d+<(socket|TCP)[^>]*>.*HTTP/1\.1 20[01]",
}
