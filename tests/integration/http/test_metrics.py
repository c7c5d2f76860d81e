"""What an operator sees: series that are there before anything happens, and logs that tell of one request."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import structlog
from litestar import Litestar
from litestar.testing import TestClient

from tests.integration.http.server import ADMIN, LiveServer, tetrahedron

Client = TestClient[Litestar]
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="part.stl"\r\n\r\n'


def series(text: str) -> dict[str, float]:
    """Return the value of each series of an answer."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def scraped(client: Any) -> dict[str, float]:
    """Return what the server shows now."""
    return series(client.get("/metrics").text)


def upload(client: Client, content: bytes = b"", **fields: str) -> int:
    """Upload a file; return the status."""
    return client.post("/api/v1/analyze", files={"file": ("part.stl", content)}, data=fields).status_code


def test_every_upload_counts_and_no_series_is_born(client: Client) -> None:
    """Whatever is wrong with an upload, its counter was there at 0 before, so that ``increase()`` sees it."""
    before = scraped(client)
    assert upload(client, tetrahedron(71)) == 201
    assert upload(client, bytes(2 * 1024**2)) == 413
    assert upload(client, tetrahedron(72), options="{") == 422
    assert upload(client, tetrahedron(72), unit="mile") == 422
    assert upload(client, b"nothing that is known") == 415
    assert upload(client, tetrahedron(73)[:-10]) == 422
    assert client.post("/api/v1/analyze", data={"label": "none"}, files={}).status_code in (415, 422)
    assert client.post("/api/v1/analyze", content=FILE + b"x", headers=BOUNDARY).status_code == 422
    assert client.post("/api/v1/analyze/batch", content=b"--b--\r\n", headers=BOUNDARY).status_code == 422
    after = scraped(client)
    born = {name for name in after.keys() - before.keys() if not name.startswith("http_")}
    assert {name for name in born if not re.search("_created|vector_index_size", name)} == set()
    changed = {name: after[name] - before[name] for name in before if name.startswith("analysis_requests")}
    assert changed['analysis_requests_total{status="success"}'] == 1
    assert changed['analysis_requests_total{status="error"}'] == 8
    too_large = 'analysis_errors_total{code="INPUT_SIZE_EXCEEDED",stage="input"}'
    assert after[too_large] == before[too_large] + 1
    coded = [name for name in after if name.startswith("analysis_errors_total{")]
    assert sum(after[name] - before[name] for name in coded) == 8


def test_the_first_attack_is_an_increase(client: Client) -> None:
    """The counters of refused models, reloads and events are shown before there is any."""
    found = scraped(client)
    for name in (
        'model_security_fail_total{reason="opcode_whitelist_violation"}',
        'model_security_fail_total{reason="opcode_blocked"}',
        'model_reload_total{status="failure"}',
        'similarity_degraded_total{event="degraded"}',
        'faiss_recovery_attempts_total{result="failure"}',
        'model_prediction_failures_total{reason="died"}',
        'model_opcode_audit_total{opcode="REDUCE"}',
        'vector_migrate_total{status="failed"}',
        'refused_connections_total{code="TOO_MANY_CONNECTIONS"}',
        'parse_latency_seconds_count{format="stl"}',
        'vector_query_latency_seconds_count{backend="faiss"}',
        'plugin_load_failures_total{plugin="stl"}',
        "model_prediction_latency_seconds_count",
        "vector_migrate_dimension_delta_count",
    ):
        assert name in found


def test_searches_and_sizes_are_shown(client: Client) -> None:
    """A search moves the latency of the backend that answers, whose size is that of the catalogue."""
    upload(client, tetrahedron(74))
    before = scraped(client)
    body = {"vector": [0.0] * 22, "k": 1}
    assert client.post("/api/v1/vectors/search", json=body).status_code == 200
    after = scraped(client)
    asked = 'vector_query_latency_seconds_count{backend="faiss"}'
    assert after[asked] == before[asked] + 1
    stored = client.get("/api/v1/parts", params={"limit": 1000}).json()["items"]
    assert after['vector_index_size{backend="faiss"}'] == len(stored)


def test_a_server_that_cannot_work_yet_says_so(client: Client, app: Litestar) -> None:
    """503 with what is missing, while ``/health`` answers; afterwards it is ready again."""
    services = app.state["services"]
    services.warm = False
    try:
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "NOT_READY")
        assert answer.json()["context"] == {"catalogue": "ok", "index": "is being built"}
        assert client.get("/health").status_code == 200
    finally:
        services.warm = True
    assert client.get("/ready").status_code == 200


class _Contexts(logging.Handler):
    """Keeps each line with the request id that it would carry."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[tuple[str, int, str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; called in the thread that logs."""
        known = structlog.contextvars.get_contextvars().get("request_id")
        self.lines.append((record.name, record.levelno, record.getMessage(), known))


@pytest.fixture
def lines() -> Any:
    """The log lines of a test."""
    handler, root = _Contexts(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_lines_from_threads_carry_the_request_id(client: Client, lines: list[Any]) -> None:
    """What the core logs while it works for a request can be found by that request's id."""
    headers = {"X-Request-ID": "asked-by-me", "X-Admin-Token": ADMIN}
    answer = client.post("/api/v1/model/reload", json={"path": "none.pkl"}, headers=headers)
    assert answer.status_code == 404
    told = [line for line in lines if "none.pkl is not loaded" in line[2]]
    assert [line[3] for line in told] == ["asked-by-me"]


def test_a_scrape_is_no_line_for_people(client: Client, lines: list[Any]) -> None:
    """Prometheus asks every few seconds; other requests are lines at the level info."""
    client.get("/metrics")
    client.get("/health")
    assert [line[1] for line in lines if line[0] == "cadml.access"] == [logging.DEBUG, logging.INFO]


def test_what_ended_processes_counted_stays_and_their_gauges_go(tmp_path: Path) -> None:
    """Of processes that share their metrics; a series that one withdrew is shown by none."""
    program = """
        import subprocess, sys
        from cadml_core import metrics
        from cadml_hostapp.http.scraping import exposition

        metrics.model_quarantine_total.inc()
        if sys.argv[1:]:
            metrics.vector_index_size.labels("ended").set(5)
        else:
            metrics.vector_index_size.labels("lives").set(7)
            metrics.vector_index_size.labels("closed").set(metrics.WITHDRAWN)
            subprocess.run([sys.executable, __file__, "ended"], check=True)
            print(exposition().decode())
    """
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(program))
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    told = subprocess.run([sys.executable, file], env=environ, capture_output=True, text=True, check=True)
    found = series(told.stdout)
    assert found["model_quarantine_total"] == 2
    sizes = {name: value for name, value in found.items() if name.startswith("vector_index_size")}
    assert sizes == {'vector_index_size{backend="lives"}': 7}


def test_each_of_several_workers_shows_its_process(tmp_path: Path) -> None:
    """Memory, processor time and start of each; series of the core exist in all before anything happens."""
    with LiveServer(tmp_path, "--workers", "2") as server, server.client() as client:
        found = scraped(client)
        assert server.stop() in (0, -15)
    for name in ("resident_memory_bytes", "cpu_seconds_total", "start_time_seconds"):
        assert sum(each.startswith(f"process_{name}{{pid=") for each in found) >= 2
    assert found['model_security_fail_total{reason="opcode_whitelist_violation"}'] == 0
