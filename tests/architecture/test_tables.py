"""The tables of settings, error codes and metrics name only what the product uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadml_core import errors, metrics
from cadml_core.errors import ERROR_CODES, CadmlError
from cadml_core.settings import SettingSpec, setting_specs

ROOT = Path(__file__).parents[2]
PACKAGES = ("cadml_core", "plugins/cadml_plugins", "hostapp/cadml_hostapp")
DEFINED = {ROOT / "cadml_core" / place for place in ("errors.py", "metrics.py")}


def mentions() -> Iterator[str]:
    """Yield every name, attribute and short text in the product, but for where the tables are."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path in DEFINED:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    yield node.attr
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    yield node.id
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


MENTIONED = frozenset(mentions())


@pytest.mark.parametrize("spec", setting_specs(), ids=lambda spec: spec.field)
def test_every_setting_is_read(spec: SettingSpec) -> None:
    """A setting that changes nothing would mislead whoever sets it."""
    assert spec.field in MENTIONED


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_is_raised(code: str) -> None:
    """By its name, or by an exception that stands for it."""
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, CadmlError) and kind.code == code
    }
    raised = code in MENTIONED or bool((kinds - {"CadmlError"}) & MENTIONED)
    assert raised


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_metric_is_recorded(name: str) -> None:
    """A metric that nothing records would always be 0."""
    assert name in MENTIONED
