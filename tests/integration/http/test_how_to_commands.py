"""Every command that the how-tos of operators show works as it is written, against a server that runs."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from tests.integration.command import COMMAND
from tests.integration.http.server import ADMIN, KEY, LiveServer, environment, tetrahedron

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
PAGES = (
    "back-up-and-restore",
    "migrate",
    "move-to-the-whitelist",
    "recover-the-index",
    "rotate-keys",
    "tune-the-cache",
)
REFUSED = re.compile(r"X-Admin-Token: wrong|cache/rollback|cadml cache rollback|cadml cache apply")
"""What is shown for its refusal, or depends on what was asked of the cache before."""
BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands(page: str) -> Iterator[str]:
    """Yield the commands of a page, each with its continued lines."""
    for indent, block in BLOCK.findall((HOW_TO / f"{page}.md").read_text(encoding="utf-8")):
        text = textwrap.dedent(indent + block if block.startswith(indent) else block)
        for command in re.split(r"(?<!\\)\n", text):
            if command.strip():
                yield command.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a few parts and a model."""
    folder = tmp_path_factory.mktemp("how-to")
    (folder / "models").mkdir()
    model = DummyClassifier(strategy="most_frequent").fit(np.zeros((2, 22)), ["bolt", "bolt"])
    (folder / "models" / "model.pkl").write_bytes(pickle.dumps(model))
    with LiveServer(folder) as running:
        with running.client() as client:
            for size in range(3, 8):
                files = {"file": (f"{size}.stl", tetrahedron(size))}
                client.post("/api/v1/analyze", files=files).raise_for_status()
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize(("page", "command"), [(page, one) for page in PAGES for one in commands(page)])
def test_the_command_works(server: LiveServer, page: str, command: str, tmp_path: Path) -> None:
    """Its exit status is 0, and what it prints is no error, except where the page shows one."""
    (tmp_path / "bin").mkdir()
    cadml = tmp_path / "bin" / "cadml"
    cadml.write_text("#!/bin/sh\nexec " + " ".join(f"'{part}'" for part in COMMAND) + ' "$@"\n')
    cadml.chmod(0o755)
    environ = environment(server.folder, KEY=KEY, TOKEN=ADMIN, API_KEYS=KEY, ADMIN_TOKEN=ADMIN)
    environ["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    (tmp_path / "backup").mkdir()
    written = command.replace("http://localhost:8000", server.url)
    done = subprocess.run(
        ["bash", "-c", written], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if REFUSED.search(command):
        assert "Traceback" not in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert '"code":' not in done.stdout, done.stdout
