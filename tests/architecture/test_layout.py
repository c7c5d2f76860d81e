"""Walls that import-linter does not see: who reads the environment, who keeps state, what a file opens with."""

from __future__ import annotations

import ast
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


def test_only_the_settings_read_the_environment() -> None:
    """Everything else gets settings. (The reader processes are started with the environment passed on.)"""
    assert set(environment_readers()) <= {"cadml_core/settings.py", "cadml_core/extraction/processes.py"}
