"""The commands of the other pages work in the order in which a page shows them, on the parts of the demo."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command import COMMAND
from tests.integration.http.server import LiveServer

ROOT = Path(__file__).parents[3]
PAGES = (
    "docs/tutorial/first-search.md",
    "README.md",
    "docs/how-to/see-parts.md",
    "docs/how-to/run-the-server.md",
    "docs/how-to/measure-retrieval.md",
    "docs/how-to/clean-up-a-library.md",
)
BLOCK = re.compile(r"^( *)```(sh|bash|console)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(
    r"pip install|^cadml serve|model train|benchmark distractors|benchmark/manifest|^less "
)
"""Installing and serving are tested by sessions of nox, models and manifests by tests with parts for them."""


def commands(page: str) -> list[str]:
    """Return the commands of a page, each with its continued lines."""
    found = []
    for indent, kind, block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        text = textwrap.dedent(indent + block)
        for command in re.split(r"(?<!\\)\n", text):
            if kind == "console" and not command.startswith("$ "):
                continue  # what is printed
            found.append(command.removeprefix("$ ").strip())
    return [one for one in found if one and not one.startswith("#") and not ELSEWHERE.search(one)]


class Reader:
    """Somebody who has run the demo, and now types what the pages say."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / ".local" / "share" / "cadml"
        (home / "bin").mkdir()
        cadml = home / "bin" / "cadml"
        cadml.write_text("#!/bin/sh\nexec " + " ".join(f"'{part}'" for part in COMMAND) + ' "$@"\n')
        cadml.chmod(0o755)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
        self.environ |= {
            "HOME": str(home),
            "XDG_DATA_HOME": "",
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        }
        for name in ("API_KEYS", "API_KEY", "ADMIN_TOKEN"):
            self.environ.pop(name, None)

    def type(self, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a script in a folder; it ends with the first command that fails."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            env=self.environ,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The demo has run, and there are the files that the pages talk of."""
    reader = Reader(tmp_path_factory.mktemp("home"))
    done = reader.type("cadml demo --json", reader.home)
    assert done.returncode == 0, done.stderr
    made = reader.data / "demo" / "parts"
    brackets = [made / "bracket" / f"bracket-{number}.step" for number in (1, 2)]
    for folder in ("parts", "archive/released", "archive/plates", "inbox"):
        (reader.home / folder).mkdir(parents=True)
    for number in (1, 2, 3):
        shutil.copy(made / "plate" / f"plate-{number}.step", reader.home / "archive" / "plates")
    for name in ("parts", "archive"):
        shutil.copytree(made / "bracket", reader.home / name / "bracket")
        shutil.copytree(made / "cover", reader.home / name / "cover")
    for name in ("archive/released/bracket.step", "archive/A.step", "archive/B.step", "inbox/bracket.step"):
        text = brackets[0].read_text().replace("FILE_NAME('", f"FILE_NAME('{Path(name).stem} ", 1)
        (reader.home / name).write_text(text)
    for folder in ("archive", "."):
        for name, source in (("bracket.step", 0), ("bracket-v2.step", 1), ("query.step", 1)):
            shutil.copy(brackets[source], reader.home / folder / name)
    table = "path,material,part_number\nreleased/bracket.step,steel,C-1047\n"
    (reader.home / "archive" / "parts.csv").write_text(table)
    stl = next(made.rglob("*.stl"))
    shutil.copy(stl, reader.home / "other.stl")
    return reader


@pytest.fixture(scope="module")
def server(reader: Reader) -> Iterator[LiveServer]:
    """A server on the reader's own catalogue."""
    done = reader.type("cadml ingest ~/parts --label-from parent --json", reader.home)
    assert done.returncode == 0, done.stdout + done.stderr
    with LiveServer(reader.data, lines=4, API_KEYS="", ADMIN_TOKEN="", CADML_PLUGINS_DISABLE="") as running:
        reader.environ["KEY"] = json.loads((reader.data / "keys.json").read_text())["api_key"]
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_page_work(reader: Reader, server: LiveServer, page: str) -> None:
    """One after the other, as somebody would type them who reads it."""
    listed = json.loads(reader.type("cadml parts list --json", reader.home).stdout)["items"]
    reader.environ["ID"] = listed[0]["id"]
    folder = reader.home / "archive" if "clean-up" in page else reader.home
    typed = commands(page)
    assert typed
    script = "\n".join(typed)
    for shown, real in (
        ("http://localhost:8000", server.url),
        ("http://127.0.0.1:8000", server.url),
        (" localhost:8000", f" {server.url}"),
        ("python -c", "python3 -c"),
        ("/quarantine", str(reader.home / "quarantine")),
        ("ID-A", listed[0]["id"]),
        ("ID-B", listed[1]["id"]),
    ):
        script = script.replace(shown, real)
    script = re.sub(r"(?<=\s)/archive", str(reader.home / "archive"), script)
    done = reader.type(f"set -x\n{script}", folder)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert '"code":' not in done.stdout, done.stdout[done.stdout.index('"code":') :][:600]
    assert "Traceback" not in done.stderr


def test_the_application_of_the_page_is_made(tmp_path: Path) -> None:
    """What "Run the server" shows of Python makes an application."""
    text = (ROOT / "docs/how-to/run-the-server.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    made = subprocess.run(
        [*COMMAND[:2], f"{code}\nprint(type(app).__name__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == "Litestar"
