"""Full disks, read-only folders, damaged and missing files."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.traffic import Verdict, served, told
from tests.integration.command import COMMAND
from tests.integration.http.server import ADMIN_HEADERS, LiveServer, environment, tetrahedron


class Unsupported(Exception):
    """This machine cannot make the fault."""


@contextmanager
def small_disk(folder: Path, megabytes: int = 24) -> Iterator[Path]:
    """A file system of its own, of that size."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "cadml-faults", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise Unsupported(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (1024**2, 4096, 512):
            try:
                while True:
                    file.write(bytes(piece))
            except OSError:
                continue
    return filler


def cadml(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a data folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def write_parts(folder: Path, count: int) -> None:
    """Make files to ingest."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.stl").write_bytes(tetrahedron(500.0 + number))


def disk_full(folder: Path) -> Verdict:
    """The disk of the data folder is full during uploads, an ingest, a migration and an audit."""
    problems = []
    write_parts(folder / "parts", 30)
    with small_disk(folder) as disk:
        audit = disk / "audit.jsonl"
        with LiveServer(
            disk,
            MODEL_OPCODE_MODE="audit",
            OPCODE_AUDIT_PERSIST_PATH=str(audit),
            OPCODE_AUDIT_PERSIST_INTERVAL="1",
        ) as server:
            traffic = served(server)
            filler = fill(disk)
            before = len(traffic.acknowledged)
            uploads = [traffic.upload(size=0) for _ in range(20)]
            acknowledged = len(traffic.acknowledged) - before
            searches = [traffic.search() for _ in range(5)]
            ingest = cadml(disk, "ingest", str(folder / "parts"))
            with traffic.client(server.url) as client:
                answer = client.post(
                    "/api/v1/vectors/migrate", json={"to_version": "v4"}, headers=ADMIN_HEADERS
                )
                migration = answer.json().get("code", "ok")
                audited = client.get("/api/v1/model/opcode-audit").status_code
            if set(uploads) - {"ok", "CATALOGUE_UNAVAILABLE"}:
                problems.append(f"uploads: {told(uploads)}")
            if set(searches) != {"ok"}:
                problems.append(f"searches: {told(searches)}")
            if ingest.returncode == 0 or "Traceback" in ingest.stderr:
                problems.append(f"ingest ended with {ingest.returncode}: {ingest.stderr[-300:]}")
            if migration != "CATALOGUE_UNAVAILABLE":
                problems.append(f"the migration: {migration}")
            if audited != 200:
                problems.append(f"the audit: {audited}")
            filler.unlink()
            seconds = traffic.until_ok()
            lost = traffic.lost()
            again = cadml(disk, "ingest", str(folder / "parts"))
            if again.returncode:
                problems.append(f"the ingest after it: {again.stderr[-300:]}")
    saw = (
        f"uploads: {told(uploads)} ({acknowledged} kept); searches: {told(searches)};"
        f" ingest: exit {ingest.returncode}; migration: {migration}; audit: {audited}"
    )
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after space was freed", problems)


def read_only(folder: Path) -> Verdict:
    """The file system of the data folder becomes read-only, and writable again."""
    problems = []
    with small_disk(folder) as disk, LiveServer(disk) as server:
        traffic = served(server)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True, check=False)
        changed = not os.access(disk, os.W_OK)
        if not changed:  # files are open for writing: make it read-only for everything that is opened anew
            subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
        uploads, searches = traffic.uploads(10), [traffic.search() for _ in range(5)]
        if changed:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        else:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        if set(uploads) - {"CATALOGUE_UNAVAILABLE"} or set(searches) != {"ok"}:
            problems.append(f"uploads: {told(uploads)}; searches: {told(searches)}")
        seconds = traffic.until_ok()
        lost = traffic.lost()
    saw = f"uploads: {told(uploads)}; searches: {told(searches)}"
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after it was writable", problems)


def database_of(folder: Path) -> Path:
    """The SQLite file."""
    [found] = folder.glob("*.sqlite3")
    return found


def flipped_bytes(folder: Path) -> Verdict:
    """Bytes of the database are flipped while nothing runs; then it serves."""
    problems = []
    data = folder / "data"
    data.mkdir()
    with LiveServer(data) as server:
        traffic = served(server, 40)
        server.stop()
    database = database_of(data)
    good = database.read_bytes()
    shutil.copy(database, folder / "backup")
    outcomes = []
    for seed in range(8):
        rng = random.Random(seed)
        damaged = bytearray(good)
        for _ in range(64):
            damaged[rng.randrange(100, len(damaged))] ^= 1 << rng.randrange(8)
        database.write_bytes(damaged)
        for side in ("-wal", "-shm"):
            Path(f"{database}{side}").unlink(missing_ok=True)
        listed = cadml(data, "parts", "list", "--json")
        found = cadml(data, "parts", "show", "part-1", "--json")
        checked = cadml(data, "parts", "check", "--json")
        wrong = [run for run in (listed, found, checked) if "Traceback" in run.stderr]
        if wrong:
            problems.append(wrong[0].stderr[-300:])
        met = listed.returncode or found.returncode
        outcomes.append("told" if met else "told by parts check" if checked.returncode else "not noticed")
    database.write_bytes(good)
    with LiveServer(data) as server:
        traffic.urls = [server.url]
        lost = traffic.lost()
    return Verdict(f"of 8 damages: {told(outcomes)}", lost, "the copy put back", problems)


def torn_log(folder: Path) -> Verdict:
    """A server is killed, and its write-ahead log loses its second half: as if the disk had lied."""
    problems = []
    data = folder / "data"
    data.mkdir()
    with LiveServer(data) as server:
        traffic = served(server, 40)
        server.kill()
    log = Path(f"{database_of(data)}-wal")
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(size // 2 + 7)
    with sqlite3.connect(database_of(data)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if sound != "ok":
        problems.append(f"the database is not sound: {sound}")
    with LiveServer(data) as server:
        traffic.urls = [server.url]
        lost = traffic.lost()
        kept = len(traffic.acknowledged) - len(lost)
        order = [name for name in traffic.acknowledged if name not in lost] == traffic.acknowledged[:kept]
        if not order:
            problems.append(f"what is left is not what came first: {lost}")
        traffic.acknowledged = traffic.acknowledged[:kept]
        seconds = traffic.until_ok()
        lost = traffic.lost()
    saw = f"the first {kept} of 40 parts, as the log was cut at {size // 2 + 7:,} of {size:,} bytes"
    return Verdict(saw, lost, f"by itself at the start, {seconds:.1f} s", problems)


def folder_removed(folder: Path) -> Verdict:
    """The data folder is moved away while the server runs, and put back."""
    problems = []
    data, away = folder / "data", folder / "away"
    data.mkdir()
    with LiveServer(data) as server:
        traffic = served(server)
        data.rename(away)
        uploads, health = traffic.uploads(10), traffic.health()
        searches = [traffic.search() for _ in range(5)]
        if set(uploads) != {"CATALOGUE_UNAVAILABLE"}:
            problems.append(f"uploads: {told(uploads)}")
        if health != "unavailable":
            problems.append(f"/health says {health}")
        shutil.rmtree(data, ignore_errors=True)
        away.rename(data)
        seconds = traffic.until_ok()
        lost = traffic.lost()
    saw = f"uploads: {told(uploads)}; searches: {told(searches)}; /health: {health}"
    return Verdict(saw, lost, f"by itself, {seconds:.1f} s after it was put back", problems)
