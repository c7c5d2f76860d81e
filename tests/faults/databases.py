"""Locked, shared, restarted and crowded databases."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.disks import Unsupported, cadml, database_of, write_parts
from tests.faults.traffic import Traffic, Verdict, served, told
from tests.integration.http.server import LiveServer

LOCKED_SECONDS = 30.0


def locked(folder: Path) -> Verdict:
    """Another program locks the SQLite database for 30 seconds while parts are uploaded and searched."""
    problems = []
    with LiveServer(folder) as server:
        traffic = served(server)
        other = sqlite3.connect(database_of(folder), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        outcomes: list[str] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(traffic.upload(seconds=90))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        searches, waits = [], []
        while time.monotonic() - start < LOCKED_SECONDS:
            began = time.monotonic()
            searches.append(traffic.search())
            waits.append(time.monotonic() - began)
            time.sleep(0.5)
        health = traffic.health()
        other.execute("ROLLBACK")
        other.close()
        for thread in threads:
            thread.join()
        if set(searches) != {"ok"} or health != "ok":
            problems.append(f"searches: {told(searches)}; /health: {health}")
        if set(outcomes) - {"ok", "CATALOGUE_UNAVAILABLE"}:
            problems.append(f"uploads: {told(outcomes)}")
        seconds = traffic.until_ok()
        lost = traffic.lost()
    saw = f"uploads: {told(outcomes)}; searches: {told(searches)}, the slowest {max(waits) * 1000:.0f} ms"
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after the lock was gone", problems)


def shared(folder: Path) -> Verdict:
    """Two servers and an ingest work on one SQLite database at the same time."""
    problems = []
    write_parts(folder / "parts", 150)
    data = folder / "data"
    data.mkdir()
    with LiveServer(data) as one, LiveServer(data) as two:
        traffic = Traffic(one.url, two.url)
        ingests: list[subprocess.CompletedProcess[str]] = []
        threads = [
            threading.Thread(target=traffic.uploads, args=(40, url)) for url in traffic.urls for _ in range(2)
        ]
        threads.append(
            threading.Thread(target=lambda: ingests.append(cadml(data, "ingest", str(folder / "parts"))))
        )
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if set(traffic.saw) != {"ok"}:
            problems.append(f"uploads: {dict(traffic.saw)}")
        if ingests[0].returncode:
            problems.append(f"ingest: {ingests[0].stderr[-300:]}")
        lost = [f"{name} (at {url})" for url in traffic.urls for name in traffic.lost(url)]
        with traffic.client(one.url) as client:
            total = client.get("/api/v1/vectors/stats").json()["total_parts"]
        if total != 160 + 150:
            problems.append(f"{total} vectors instead of 310")
    saw = f"uploads: {told(traffic.saw.elements())}; ingest: exit {ingests[0].returncode}, 150 files"
    return Verdict(saw, lost, "nothing to come back from; both servers find the parts of all", problems)


class Postgres:
    """A PostgreSQL server of Debian's in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            raise Unsupported("there is no PostgreSQL (Debian: postgresql)")
        self._bin = found[-1]
        self._folder = folder
        folder.mkdir()
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._user:
            shutil.chown(folder, "postgres")
            for parent in folder.parents:
                if parent.stat().st_uid == 0 and parent != Path("/") and parent.is_relative_to("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._options = options
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "cadml", "--no-sync")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "cadml", "parts")

    @property
    def url(self) -> str:
        """For ``CADML_DATABASE_URL``."""
        return f"postgresql://cadml@127.0.0.1:{self.port}/parts"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._user, str(self._bin / program), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            check=False,
        )
        if done.returncode:
            raise Unsupported(f"{program}: {done.stderr.strip()[-300:]}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = " ".join((f"-p {self.port} -k {self._folder} -h 127.0.0.1", *self._options))
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-l", log, "-o", options, "-w", "start")

    def kill(self) -> None:
        """End it at once, as a crash would: the postmaster and all its children."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        for one in (pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)
        (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        time.sleep(0.5)

    def stop(self) -> None:
        """Stop it."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")


@contextmanager
def postgres(folder: Path, *options: str) -> Iterator[Postgres]:
    """A PostgreSQL server that is stopped at the end."""
    server = Postgres(folder / "postgres", *options)
    try:
        yield server
    finally:
        server.stop()


def postgres_restarted(folder: Path) -> Verdict:
    """PostgreSQL is killed while parts are uploaded and searched, and started again ten seconds later."""
    problems = []
    data = folder / "data"
    data.mkdir()
    with postgres(folder) as database, LiveServer(data, CADML_DATABASE_URL=database.url) as server:
        traffic = served(server)
        stop = threading.Event()
        searches: list[str] = []

        def work() -> None:
            while not stop.is_set():
                traffic.upload(seconds=60)
                searches.append(traffic.search())
                time.sleep(0.02)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        database.kill()
        time.sleep(5)
        health = traffic.health()
        time.sleep(5)
        database.start()
        seconds = traffic.until_ok()
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
        if set(traffic.saw) | set(searches) != {"ok", "CATALOGUE_UNAVAILABLE"}:
            problems.append(f"uploads: {dict(traffic.saw)}; searches: {told(searches)}")
        if health != "unavailable":
            problems.append(f"/health says {health}")
        if traffic.health() != "ok":
            problems.append(f"afterwards, /health says {traffic.health()}")
        lost = traffic.lost()
    saw = f"uploads: {told(traffic.saw.elements())}; searches: {told(searches)}; /health: {health}"
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after the start", problems)


def postgres_connections(folder: Path) -> Verdict:
    """Others take every connection of PostgreSQL that is left, and one of them locks; then they go."""
    import psycopg

    problems = []
    data = folder / "data"
    data.mkdir()
    with (
        postgres(folder, "-c max_connections=20") as database,
        LiveServer(data, CADML_DATABASE_URL=database.url) as server,
    ):
        traffic = served(server)
        others = []
        while True:
            try:
                others.append(psycopg.connect(database.url))
            except psycopg.OperationalError:
                break
        others[0].execute("SELECT * FROM counters FOR UPDATE")
        outcomes: list[str] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(traffic.upload(seconds=90))) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        searches = [traffic.search() for _ in range(10)]
        time.sleep(3)
        for other in others:
            other.close()
        for thread in threads:
            thread.join()
        burst = [threading.Thread(target=traffic.uploads, args=(5,)) for _ in range(24)]
        for thread in burst:
            thread.start()
        for thread in burst:
            thread.join()
        if set(outcomes) - {"ok", "CATALOGUE_UNAVAILABLE"} or set(searches) - {"ok", "CATALOGUE_UNAVAILABLE"}:
            problems.append(f"uploads: {told(outcomes)}; searches: {told(searches)}")
        seconds = traffic.until_ok()
        with psycopg.connect(database.url) as counting:
            row = counting.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'parts' AND pid <> pg_backend_pid()"
            ).fetchone()
        held = row[0] if row else 0
        lost = traffic.lost()
    saw = (
        f"uploads: {told(outcomes)}; searches: {told(searches)}; and with 120 more from 24 clients after it:"
        f" {told(traffic.saw.elements())}; {held} connections held"
    )
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after they went", problems)
