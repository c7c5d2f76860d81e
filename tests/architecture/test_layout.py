"""Rules that import-linter does not see: environment, global state, docstrings, words and sizes of files."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "cadml_core", ROOT / "plugins" / "cadml_plugins", ROOT / "hostapp" / "cadml_hostapp")
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))


def names(path: Path) -> str:
    """A module's path for test ids."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_opens_with_its_purpose(path: Path) -> None:
    """The first thing in every module is one sentence that says what it is for."""
    purpose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert purpose
    assert purpose.splitlines()[0].rstrip().endswith((".", ":", "?")) or "\n" in purpose


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_keeps_no_global_state(path: Path) -> None:
    """Nothing rebinds a module's names at run time: two runtimes in one process share only the metrics."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]


def environment_readers() -> Iterator[str]:
    """Every module that names ``os.environ`` or ``os.getenv``."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                yield names(path)


PASS_IT_ON = {
    "cadml_core/isolation/processes.py",  # gives the environment to the reader processes
    "cadml_core/isolation/sandbox/installation.py",  # finds the libraries that a confined process needs
    "cadml_core/isolation/limits.py",  # tells libraries in a reader where its temporary files go
    "cadml_core/isolation/secrets.py",  # takes secrets out of it
    "hostapp/cadml_hostapp/cli/__init__.py",  # keeps OpenBLAS to one thread, before numpy is loaded
    "hostapp/cadml_hostapp/metrics_folder.py",  # sets prometheus_client's variable for server processes
}


def test_only_the_settings_read_the_environment() -> None:
    """Everything else gets settings; those that start processes pass the environment on to them."""
    assert set(environment_readers()) <= {"cadml_core/settings/loading.py"} | PASS_IT_ON


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"), *(ROOT / "docs").rglob("*.md")])
BANNED = re.compile(
    r"\b(crews?|leash|innocents?|obituary|nonsense|greet(s|ing|ings)?|hopeless|express lane|strangers?)\b",
    re.IGNORECASE,
)
VAGUE = {"edge", "express", "utils", "helpers", "manager", "common"}
TABLES = {"cadml_core/settings/schema.py": "one entry of several lines for each setting"}
"""Files that may be longer, as they are read by looking something up."""


@pytest.mark.parametrize("path", [*MODULES, *DOCUMENTS], ids=names)
def test_words_are_the_fields(path: Path) -> None:
    """Sources and documents use the terms of the field; these words have stood for one of them."""
    text = path.read_text(encoding="utf-8")
    assert [
        f"line {text.count(chr(10), 0, found.start()) + 1}: {found[0]}" for found in BANNED.finditer(text)
    ] == []


def test_a_module_is_named_for_what_it_does() -> None:
    """No module has a name under which anything could be put."""
    assert [names(path) for path in MODULES if path.stem.strip("_") in VAGUE] == []


def lines(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_long() -> None:
    """None but a table has more than 350 lines."""
    long = {names(path): lines(path) for path in MODULES if lines(path) > 350}
    assert long.keys() <= TABLES.keys(), long


def test_most_files_are_small() -> None:
    """Half of the files have at most 90 lines."""
    assert statistics.median(map(lines, MODULES)) <= 90
