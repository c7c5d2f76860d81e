"""Plugins use the public surface alone, and each public module of the built-in ones is an entry point."""

from __future__ import annotations

import ast
import graphlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import cadml_core

ROOT = Path(__file__).parents[2]
BUILT_IN = ROOT / "plugins" / "cadml_plugins"
CONTRIB = ROOT / "contrib" / "plugins"
PRODUCT = {"cadml_core", "cadml_plugins", "cadml_hostapp"}

HOST_HOOKS = {"cadml_routes", "cadml_commands"}
HOST_EXTENSION = {"cadml_core.runtime"}
"""What a plugin that adds routes or commands may import as well: it works with a whole runtime."""
CONTRIB_TESTS = {"cadml_core.testing", "cadml_core.settings", "cadml_hostapp.app", "cadml_hostapp.cli"}
"""What the tests of a third-party plugin may import as well: the kit, and the host that it extends."""


def names(path: Path) -> str:
    """A module's path for test ids."""
    return str(path.relative_to(ROOT))


def product_imports(path: Path) -> Iterator[str]:
    """Yield what a module imports of the product: ``package.module``, or ``cadml_core:name``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PRODUCT)
        elif isinstance(node, ast.ImportFrom) and node.module == "cadml_core":
            yield from (f"cadml_core:{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PRODUCT:
            yield str(node.module)


def imported_modules(path: Path) -> set[str]:
    """Return every module that a file may import, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def hooks(path: Path) -> set[str]:
    """Return the names of a module's functions; those of hooks are among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


PUBLIC = {f"cadml_core:{name}" for name in cadml_core.__all__}


@pytest.mark.parametrize("path", sorted(BUILT_IN.rglob("*.py")), ids=names)
def test_a_built_in_plugin_imports_the_public_surface_alone(path: Path) -> None:
    """Of the core it names only what ``cadml_core`` exports; of the plugins only its own kind."""
    kind = ".".join(("cadml_plugins", *path.relative_to(BUILT_IN).parts[:1]))
    foreign = set(product_imports(path)) - PUBLIC
    assert {name for name in foreign if not f"{name}.".startswith(f"{kind}.")} == set()


@pytest.mark.parametrize("path", sorted(CONTRIB.glob("*/*.py")), ids=names)
def test_a_contrib_plugin_imports_the_public_surface_alone(path: Path) -> None:
    """Third-party plugins need nothing that is not promised to them."""
    allowed = PUBLIC | (HOST_EXTENSION if hooks(path) & HOST_HOOKS else set())
    assert set(product_imports(path)) - allowed == set()


@pytest.mark.parametrize("path", sorted(CONTRIB.glob("*/tests/*.py")), ids=names)
def test_the_tests_of_a_contrib_plugin_use_public_names(path: Path) -> None:
    """So that a plugin's author can copy them."""
    assert set(product_imports(path)) - PUBLIC - CONTRIB_TESTS == set()


def test_every_public_module_is_an_entry_point() -> None:
    """A module without an underscore is a plugin; everything else beside it is marked as an internal."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    modules = {
        ".".join(path.relative_to(BUILT_IN.parent).with_suffix("").parts)
        for path in BUILT_IN.rglob("*.py")
        if not path.name.startswith("_")
    }
    assert set(project["entry-points"]["cadml.v1"].values()) == modules


def test_no_built_in_module_imports_itself_through_others() -> None:
    """Within a room, too, imports have a direction: each module can be read without those above it."""
    modules = {
        ".".join(path.relative_to(BUILT_IN.parent).with_suffix("").parts): path
        for path in BUILT_IN.rglob("*.py")
    }
    graph = {name: modules.keys() & imported_modules(path) for name, path in modules.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
