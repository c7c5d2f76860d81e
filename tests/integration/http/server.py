"""What the tests of the server share: files to send, settings, and a server in a process of its own."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from cadml_core.settings import Settings, load_settings
from tests.integration.command import COMMAND

KEY, ADMIN = "a-test-key", "a-test-admin-token"
HEADERS = {"X-API-Key": KEY}
ADMIN_HEADERS = {**HEADERS, "X-Admin-Token": ADMIN}
WITHOUT_KERNEL = ("step", "iges", "dxf")
"""Plugins that the tests of the server need not wait for."""


def tetrahedron(size: float = 10.0, *, at: float = 0.0) -> bytes:
    """A closed binary STL of four facets; each size and place is another content."""
    corners = [(at, 0, 0), (at + size, 0, 0), (at, size, 0), (at, 0, size)]
    record = b"".join(
        struct.pack("<12fH", 0, 0, 0, *corners[a], *corners[b], *corners[c], 0)
        for a, b, c in ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
    )
    return bytes(80) + struct.pack("<I", 4) + record


def settings_for(folder: Path, **named: Any) -> Settings:
    """Settings of a test server."""
    defaults: dict[str, Any] = {
        "data_dir": str(folder),
        "api_keys": (KEY,),
        "admin_token": ADMIN,
        "plugins_disable": WITHOUT_KERNEL,
        "parse_workers": 2,
        "opcode_audit_persist_interval": 0.0,
        "feature_versions_extra": ("none",),
    }
    return load_settings({**defaults, **named}, environ={})


def left_on_disk(folder: Path) -> list[Path]:
    """Every upload that is in the data folder, finished or not."""
    return [path for path in (folder / "uploads").rglob("*") if path.is_file() and "locks" not in path.parts]


def wait_until_ready(client: Any) -> None:
    """Wait until the server says that it can work."""
    for _ in range(300):
        if client.get("/ready").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError("the server does not become ready")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a server: nothing of this process but what finds the interpreter."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **inherited,
        "CADML_DATA_DIR": str(folder),
        "CADML_PLUGINS_DISABLE": ",".join(WITHOUT_KERNEL),
        "PARSE_WORKERS": "2",
        "OPCODE_AUDIT_PERSIST_INTERVAL": "0",
        "CADML_LOG_LEVEL": os.environ.get("CADML_LOG_LEVEL", "warning"),
        **more,
    }


class LiveServer:
    """``cadml serve`` in a process of its own."""

    def __init__(self, folder: Path, *options: str, lines: int = 1, **environ: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", *options],
            env=environment(folder, **({"API_KEYS": KEY, "ADMIN_TOKEN": ADMIN} | environ)),
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(lines)]
        assert "http://" in self.said[0], self.said
        self.port = int(self.said[0].split("http://127.0.0.1:")[1].split()[0])
        self.url = f"http://127.0.0.1:{self.port}"
        with self.client() as client:
            self._wait(client)

    @classmethod
    def without_keys(cls, folder: Path) -> LiveServer:
        """A server that nobody gave keys; it says more at its first start."""
        first = not (folder / "keys.json").exists()
        return cls(folder, lines=4 if first else 2, API_KEYS="", ADMIN_TOKEN="")

    def _wait(self, client: httpx.Client) -> None:
        for _ in range(300):
            try:
                if client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, "the server ended by itself"
            time.sleep(0.05)
        raise AssertionError("the server does not become ready")

    def client(self) -> httpx.Client:
        """A client with an API key."""
        # Without ``verify`` no certificates are loaded: 24 ms for each client, and there is no TLS here.
        return httpx.Client(base_url=self.url, headers=HEADERS, timeout=60, verify=False)

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def stop(self) -> int:
        """End the server in the ordinary way; return its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """End the server at once."""
        self.process.kill()
        self.process.wait(timeout=60)

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
