"""Every promise of the security page names tests that exist, and the licences page what is installed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
LICENCES = ROOT / "docs" / "explanation" / "licences.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def promises() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every row of the tables of promises, with the tests that it names."""
    found, within = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        within = line.startswith("|") and (within or line.startswith("| promise | tests |"))
        if within and not line.startswith(("| promise", "|---")):
            found.append((line.split("|")[1].strip(), TEST.findall(line)))
    return found


def names_in(path: Path) -> Iterator[str]:
    """The names of a file's tests, those of classes with their class."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)
            )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@pytest.mark.parametrize(
    ("promise", "named"), promises(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_promise_names_tests_that_exist(promise: str, named: list[tuple[str, str]]) -> None:
    """A promise without a test is only a hope."""
    assert named, promise
    assert [f"{path}::{name}" for path, name in named if name not in set(names_in(ROOT / path))] == []


def test_every_section_but_the_limits_makes_promises() -> None:
    """The page has promises at all, and nothing that looks like a test is left unread."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(promises()) > 25
    assert text.count("| promise | tests |") == text.count("\n## ") - 1
    assert len(re.findall(r"tests/", text)) == sum(len(named) for _, named in promises())


def installed(name: str, found: set[str]) -> set[str]:
    """The names of what a distribution needs in this environment, and of what that needs."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        needed = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:
        return found
    found.add(key)
    for requirement in needed:
        extras = ("", "prometheus") if key == "litestar" else ("",)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            installed(requirement.name, found)
    return found


def test_licences_name_everything_that_is_installed() -> None:
    """Every distribution that cadml brings in has a line with its licence."""
    rows = dict(re.findall(r"^\| ([\w.-]+) \| (.+) \|$", LICENCES.read_text(encoding="utf-8"), re.MULTILINE))
    assert installed("cadml", set()) - {"cadml"} - rows.keys() == set()
    assert "?" not in rows.values()


def test_the_kernels_licence_is_there_as_a_whole() -> None:
    """The wheel of the kernel brings no licence files, so ours does."""
    text = (ROOT / "LICENSES" / "LGPL-2.1-only.txt").read_text(encoding="utf-8")
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "prominent notice" in " ".join(
        (ROOT / "LICENSES" / "OCCT-exception-1.0.txt").read_text(encoding="utf-8").split()
    )
