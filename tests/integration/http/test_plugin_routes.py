"""Plugins may add routes and commands; one that is wrong affects no other."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.testing import TestClient

from cadml_core import hookimpl
from cadml_core.plugins.loader import LoadedPlugins, load_plugins
from cadml_core.runtime import Runtime, build_runtime
from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for


@get("/count", sync_to_thread=False)
def count(runtime: NamedDependency[SkipValidation[Runtime]]) -> dict[str, int]:
    """Count the parts."""
    return {"parts": len(runtime.catalog.parts())}


@get("/boom", sync_to_thread=False)
def boom() -> None:
    """Fail."""
    raise ZeroDivisionError("/secret/place")


@get("/needs", sync_to_thread=False)
def needs(nobody_provides_this: NamedDependency[SkipValidation[Any]]) -> None:
    """Ask for what is not there."""


class Routes:
    """Routes of a plugin."""

    def __init__(self, name: str, *handlers: Any) -> None:
        self.name = name
        self.handlers = handlers


@click.command()
def tally() -> None:
    """Say something."""
    click.echo("one, two")


def entry(module_name: str, **hooks: Any) -> importlib.metadata.EntryPoint:
    """An entry point of a module made here."""
    module = types.ModuleType(module_name)
    for name, items in hooks.items():
        namespace: dict[str, Any] = {"items": items}
        exec(f"def {name}(): return items", namespace)
        setattr(module, name, hookimpl(namespace[name]))
    sys.modules[module_name] = module
    return importlib.metadata.EntryPoint(module_name, module_name, "cadml.v1")


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[LoadedPlugins]:
    """The built-in plugins and three others."""
    installed = importlib.metadata.entry_points(group="cadml.v1")
    others = [
        entry("third_party", cadml_routes=[Routes("shop", count, boom)], cadml_commands=[tally]),
        entry("unmet", cadml_routes=[Routes("unmet", needs)]),
        entry("no_route", cadml_routes=[Routes("odd", "not a handler")]),
    ]
    yield load_plugins(settings_for(tmp_path), [*installed, *others])
    for other in others:
        del sys.modules[other.name]


@pytest.fixture
def client(tmp_path: Path, loaded: LoadedPlugins) -> Iterator[TestClient[Litestar]]:
    """A client of a server with those plugins."""
    runtime = build_runtime(settings_for(tmp_path), plugins=loaded)
    with TestClient(create_app(runtime), raise_server_exceptions=False) as found:
        yield found


def test_routes_are_mounted_behind_the_key(client: TestClient[Litestar]) -> None:
    """Below the plugin's own address, with the runtime, in the documentation, and never without a key."""
    address = "/api/v1/plugins/shop/count"
    assert client.get(address).status_code == 401
    assert client.get(address, headers=HEADERS).json() == {"parts": 0}
    assert address in client.get("/docs/openapi.json").json()["paths"]


def test_a_failing_handler_answers_in_the_error_shape(client: TestClient[Litestar]) -> None:
    """Nothing of its exception reaches the client."""
    response = client.get("/api/v1/plugins/shop/boom", headers=HEADERS)
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in response.text


def test_routes_that_cannot_be_used_are_left_out(client: TestClient[Litestar]) -> None:
    """The server starts all the same, and its own routes work."""
    for name in ("unmet/needs", "odd"):
        assert client.get(f"/api/v1/plugins/{name}", headers=HEADERS).status_code == 404
    assert client.get("/api/v1/plugins", headers=HEADERS).status_code == 200


def test_commands_are_registered_by_name(loaded: LoadedPlugins) -> None:
    """A click command is one as it is; its plugin's record says so."""
    command: object = loaded.registry.commands["tally"]
    assert command is tally
    record = next(record for record in loaded.records if record.name == "third_party")
    assert record.kinds == ("command", "routes")
    assert msgspec.structs.asdict(record)["provides"] == ("shop", "tally")
