"""A running server keeps no key where other processes of its user could read it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.command import in_process
from tests.integration.http.server import ADMIN, HEADERS, KEY, LiveServer, tetrahedron

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="about /proc")


def test_no_key_is_in_the_environment_of_any_process(tmp_path: Path) -> None:
    """Neither of the supervisor, nor of a server process, nor of a reader; and every one of them works."""
    url = f"sqlite:///{tmp_path / 'a-secret-place.sqlite3'}"
    with LiveServer(tmp_path, "--workers", "2", CADML_DATABASE_URL=url) as server, server.client() as client:
        answer = client.post("/api/v1/analyze", files={"file": ("part.stl", tetrahedron())})
        assert answer.status_code == 201
        supervisor = psutil.Process(server.process.pid)
        processes = [supervisor, *supervisor.children(recursive=True)]
        assert len(processes) >= 4
        for process in processes:
            try:
                shown = Path(f"/proc/{process.pid}/environ").read_bytes()
            except PermissionError:  # it hides itself from other processes of its user
                continue
            for secret in (KEY, ADMIN, "a-secret-place"):
                assert secret.encode() not in shown, process.cmdline()
    assert (tmp_path / "a-secret-place.sqlite3").exists()


def test_health_shows_the_sandbox_and_the_model(tmp_path: Path) -> None:
    """Each layer, whether it holds, and why not; as `cadml doctor` does."""
    with LiveServer(tmp_path) as server, server.client() as client:
        for _ in range(100):
            health = client.get("/health").json()
            if health["sandbox"] is not None:
                break
            time.sleep(0.1)
    assert health["model"] == {"process": "none", "version": None, "failures": 0, "quarantined": 0}
    shown = in_process("doctor", "--json", environ={}).stdout
    names = {"files", "writing", "attributes", "parent", "network"}
    names |= {"processes", "signals", "system_calls", "privileges"}
    assert {layer["name"] for layer in health["sandbox"]} == names
    assert all(f'"{name}"' in shown for name in names)
    assert HEADERS["X-API-Key"] not in str(health)
