"""A real Prometheus scrapes a server with two workers: every query that we ship, and a first attack.

python -m tests.integration.http.monitoring_live       # needs prometheus on the path (Debian: prometheus)
"""

from __future__ import annotations

import json
import re
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "contrib" / "monitoring"
HOSTILE = b"\x80\x04cos\ngetpid\n)R."
PATIENCE = 30.0


@contextmanager
def prometheus(
    folder: Path, target: str, *, rules: Path = MONITORING, node: str | None = None
) -> Iterator[httpx.Client]:
    """Run a Prometheus that scrapes a server every second, with the rules; yield a client of it."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules / name) for name in ("alerts.yaml", "recording.yaml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address]}]}
            for job, address in (("cadml", target), ("node", node))
            if address
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    process = subprocess.Popen(
        ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until(lambda: _answers(client), "Prometheus does not start")
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def ask(client: httpx.Client, query: str) -> list[Any]:
    """Return the series that a query gives; an error of the query is an error here."""
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", (query, answer)
    found: list[Any] = answer["data"]["result"]
    return found


def firing(client: httpx.Client) -> set[str]:
    """Return the names of the alerts that fire."""
    return {one["metric"]["alertname"] for one in ask(client, 'ALERTS{alertstate="firing"}')}


def wait_until(met: Callable[[], bool], otherwise: str) -> float:
    """Wait for something; return how long that took."""
    start = time.monotonic()
    while not met():
        assert time.monotonic() - start < PATIENCE, otherwise
        time.sleep(0.2)
    return time.monotonic() - start


def queries(scraped: str) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every query, with the variables of the dashboard filled in.

    Those over what is planned, and not among what the server shows, are left out.
    """
    check = runpy.run_path(str(ROOT / "contrib" / "scripts" / "metrics_consistency_check.py"))
    planned = {name for name in check["PLANNED"] if f"\n{name}" not in scraped}
    for place, query in check["dashboard_queries"](MONITORING):
        if not planned & check["names_in"](query):
            yield place, query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    for place, query, _ in check["rule_queries"](MONITORING):
        if not planned & check["names_in"](query):
            yield place, query


def use(server: LiveServer) -> None:
    """Upload, search and refuse a little."""
    with server.client() as client:
        for number in range(6):
            file = {"file": (f"{number}.stl", tetrahedron(5 + number))}
            client.post("/api/v1/analyze", files=file).raise_for_status()
        client.post("/api/v1/analyze", files={"file": ("x.stl", b"nothing")})
        client.post("/api/v1/vectors/search", json={"vector": [0.0] * 22, "k": 3}).raise_for_status()


def attack(server: LiveServer) -> str:
    """Ask for a model that calls a function; return the code of the refusal."""
    models = server.folder / "models"
    models.mkdir(exist_ok=True)
    (models / "hostile.pkl").write_bytes(HOSTILE)
    with server.client() as client:
        answer = client.post("/api/v1/model/reload", json={"path": "hostile.pkl"}, headers=ADMIN_HEADERS)
        return str(answer.json()["code"])


def main() -> int:
    """Print what was seen; return the exit status."""
    if shutil.which("prometheus") is None:
        print("there is no prometheus on the path", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server").mkdir()
        (folder / "prometheus").mkdir()
        with (
            LiveServer(folder / "server", "--workers", "2", MODEL_OPCODE_MODE="whitelist") as server,
            prometheus(folder / "prometheus", f"127.0.0.1:{server.port}") as client,
        ):
            use(server)
            wait_until(lambda: bool(ask(client, "rate(http_requests_total[1m])")), "nothing is scraped")
            assert firing(client) == set(), firing(client)
            refused = attack(server)
            assert refused == "OPCODE_WHITELIST_VIOLATION", refused
            seconds = wait_until(lambda: "OpcodeWhitelistViolation" in firing(client), "no alert")
            print(f"the first attack fires OpcodeWhitelistViolation after {seconds:.1f} s")
            asked = list(queries(httpx.get(f"{server.url}/metrics").text))
            empty = [place for place, query in asked if not ask(client, query)]
            print(f"{len(asked)} queries are right; without a series now: {len(empty)}")
            print(*(f"  {place}" for place in empty), sep="\n")
            quiet = {place for place in empty if not re.match(r"alerts|.*Plugins that failed", place)}
            return 1 if quiet else 0


if __name__ == "__main__":
    sys.exit(main())
