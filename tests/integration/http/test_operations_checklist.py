"""The operations checklist: its commands as they are written, and the answers that it promises."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.integration.http.server import KEY, LiveServer, environment, tetrahedron
from tests.integration.http.test_how_to_commands import HOW_TO, commands

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
PAGE = "operations-checklist"
WINDOW = 2
ROOT = HOW_TO.parents[1]
KEYS = {"$KEY": "your_key", "$TOKEN": "your_admin_token"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a part, and a window for rollbacks that soon closes."""
    with LiveServer(
        tmp_path_factory.mktemp("checklist"),
        API_KEYS=f"{KEY},{KEYS['$KEY']}",
        ADMIN_TOKEN=KEYS["$TOKEN"],
        CACHE_ROLLBACK_WINDOW_SECONDS=str(WINDOW),
    ) as running:
        with running.client() as client:
            client.post("/api/v1/analyze", files={"file": ("a.stl", tetrahedron())}).raise_for_status()
        yield running


def told(server: LiveServer, command: str) -> tuple[int, dict[str, object]]:
    """Run a curl line of the page; return the status and the answer."""
    for name, value in KEYS.items():
        command = command.replace(name, value)
    command = command.replace("http://localhost:8000", server.url)
    command = command.replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
    environ = environment(server.folder)
    done = subprocess.run(
        ["bash", "-c", command], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def line(part: str) -> str:
    """Return the first command of the page that has this in it."""
    return next(command for command in commands(PAGE) if part in command)


def test_each_operation_answers(server: LiveServer) -> None:
    """Every command that is no change of the cache is answered by what it asked for."""
    expected = {
        "opcode-audit": "opcodes",
        "faiss/health": "recovery_status",
        "faiss/recover": "recovery_status",
        "dry_run=true": "dry_run",
        "prewarm": "by_source",
        "preview": "avg_delta",
        "model/version": "load_seq",
    }
    for part, field in expected.items():
        status, answer = told(server, line(part))
        assert status == 200, answer
        assert field in answer, answer
    status, answer = told(server, line("model/reload"))
    assert (status, answer["code"]) == (404, "DATA_NOT_FOUND")  # there is no model here
    seen = [*expected, "model/reload", "dry_run=false", "cache/rollback"]
    assert [one for one in commands(PAGE) if not any(part in one for part in seen)] == []


def test_a_cache_change_is_guarded(server: LiveServer) -> None:
    """200, 409, 200, 409, and 410 once the window has closed."""
    apply, rollback = line("dry_run=false"), line("cache/rollback")
    assert told(server, rollback)[1]["code"] == "CACHE_TUNING_NO_SNAPSHOT"
    seen = [told(server, command) for command in (apply, apply, rollback, rollback)]
    assert [(status, answer.get("code")) for status, answer in seen] == [
        (200, None),
        (409, "CACHE_TUNING_SNAPSHOT_ACTIVE"),
        (200, None),
        (409, "CACHE_TUNING_NO_SNAPSHOT"),
    ]
    assert told(server, apply)[0] == 200
    time.sleep(WINDOW + 0.5)
    status, answer = told(server, rollback)
    assert (status, answer["code"]) == (410, "CACHE_TUNING_ROLLBACK_EXPIRED")


def test_what_the_page_points_to_is_there() -> None:
    """Every script, test and session that the last table names exists."""
    text = (HOW_TO / f"{PAGE}.md").read_text(encoding="utf-8")
    paths = re.findall(r"(?:tests|contrib)/[\w/]+\.py", text)
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"nox -s (\w+)", text) if f"def {name}(" not in nox] == []
