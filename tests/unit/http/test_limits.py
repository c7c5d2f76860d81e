"""Counts and waits by client: they grow, they end, and they take a bounded amount of memory."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from cadml_core.errors import CadmlError
from cadml_hostapp.http.auth import Backoff, client_name
from cadml_hostapp.http.connection_limits import ConnectionLimits
from cadml_hostapp.http.rate_limit import RateLimit
from tests.integration.http.server import settings_for


def wait_of(backoff: Backoff, client: str = "a") -> int:
    """How long a client has to wait."""
    try:
        backoff.require(client)
    except CadmlError as error:
        return int(error.context["retry_after_seconds"])
    return 0


def test_waits_double_and_end() -> None:
    """Twenty wrong tokens are free; then 1 s, 2 s, 4 s, up to five minutes, until a right one comes."""
    now = 0.0
    backoff = Backoff(lambda: now)
    waits = []
    for _ in range(30):
        backoff.failed("a")
        waits.append(wait_of(backoff))
        now += waits[-1]
    assert waits == [0] * 19 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert wait_of(backoff) == wait_of(backoff, "b") == 0
    backoff.succeeded("a")
    backoff.failed("a")
    assert wait_of(backoff) == 0


def test_many_clients_take_bounded_memory() -> None:
    """Whoever has ten thousand addresses fills no more than the tables hold."""
    backoff, limit = Backoff(), RateLimit(1000, 1)
    for number in range(10_000):
        backoff.failed(str(number))
        limit.count_refused(str(number))
    assert len(backoff._wrong) <= 4096
    assert len(limit._windows) <= 4097


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_clients_are_told_apart_by_network(host: str, name: str) -> None:
    """All addresses of one IPv6 network are one client."""
    assert client_name(host) == name


@pytest.mark.parametrize(("files", "total"), [(1024, 448), (20_000, 1024), (64, 16)])
def test_every_connection_may_upload(
    files: int, total: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are two open files for each connection, its own and what it uploads, beside those reserved."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert ConnectionLimits.of(settings_for(tmp_path)).total == total
