"""Writes the reference pages that follow from the code: hooks, the plugin API, settings, error codes,
commands, metrics, feature slots, the HTTP API.

    python contrib/scripts/generate_reference.py            # write docs/reference/*.md
    python contrib/scripts/generate_reference.py --check    # exit 1 where a page is out of date
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

import cadml_core
from cadml_core import DurableIndex, RefinedVersion, VectorIndex, metrics
from cadml_core.contracts.features import FeatureVersion
from cadml_core.errors import ERROR_CODES
from cadml_core.plugins import hookspecs
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import KINDS
from cadml_core.settings import Settings, load_settings, setting_specs
from cadml_hostapp.app import create_app
from cadml_hostapp.cli import main as cadml
from cadml_hostapp.routes.docs import with_bodies

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by contrib/scripts/generate_reference.py; change the code, then run it. -->\n\n"


def table(*header: str, rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def errors() -> str:
    """Return the page of error codes."""
    rows = [
        (f"`{spec.code}`", spec.stage or "the operation", str(spec.status), spec.meaning)
        for spec in ERROR_CODES.values()
    ]
    return (
        "# Error codes\n\nEvery error, from the command line with `--json` and from the server, has one"
        " shape:\n\n```json\n"
        '{"code": "PARSE_FAILED", "stage": "parse", "message": "...", "context": {},'
        ' "timestamp": "2025-11-26T09:31:11.456Z"}\n```\n\n'
        + table("code", "stage", "HTTP", "meaning", rows=rows)
    )


def _default(value: object) -> str:
    return f"`{','.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def settings() -> str:
    """Return the page of settings."""
    rows = [
        (
            f"`{spec.key}`",
            f"`{spec.env}`",
            "" if spec.field == "data_dir" or spec.default in ("", (), {}) else _default(spec.default),
            spec.allowed,
            spec.description + (" Secret." if spec.secret else ""),
        )
        for spec in setting_specs()
    ]
    return (
        "# Settings\n\nDefaults, then `cadml.toml` (the file that `CADML_CONFIG` names, else the one in the"
        " working folder), then the environment, then command-line options: the later wins. `cadml settings`"
        " shows each value and where it came from. An impossible value stops the start and names itself."
        " `data_dir` is by default the platform's folder for user data.\n\n"
        + table("key in cadml.toml", "environment", "default", "allowed", "meaning", rows=rows)
    )


def hooks() -> str:
    """Return the page of hooks and contracts."""
    parts = [
        "# Hooks and contracts\n\nA plugin is an entry point of the group"
        f" `{hookspecs.ENTRY_POINT_GROUP}` that names a module (or object) with functions marked"
        " `@cadml_core.hookimpl`. Hooks only register: each returns an iterable of objects that keep a"
        " contract. [How to write a plugin](../how-to/write-a-plugin.md) goes through one.\n"
    ]
    for kind in KINDS.values():
        told = inspect.getdoc(getattr(hookspecs, kind.hook))
        contract = protocol(kind.contract)
        parts.append(f"\n## `{kind.hook}()`\n\n{told} The contract of the {kind.name}:\n\n{contract}")
    extras = (VectorIndex, DurableIndex)
    return "".join([*parts, *(f"\n## `{extra.__name__}`\n\n{protocol(extra)}" for extra in extras)])


PLUGIN_API = """# The plugin API

What a plugin may rely on, and for how long. [Hooks and contracts](hooks.md) describes every hook and
contract; [How to write a plugin](../how-to/write-a-plugin.md) goes through one.

## What a plugin may import

* `cadml_core`: the package itself, with the names listed below. Its submodules are internal.
* `cadml_core.testing`: the conformance kit, in the plugin's tests.
* `cadml_core.runtime` (`Runtime`, `build_runtime`), in plugins that add routes or commands.
* In the tests of such a plugin also `cadml_core.settings` (`Settings`, `load_settings`), `cadml_hostapp.app`
  (`create_app`) and `cadml_hostapp.cli` (`main`).

Everything else may move or change in any release.

## What `GROUP` promises

The entry-point group names the generation of the contracts. A plugin that works with one release of cadml
for `GROUP` works with every later one.

A minor release may

* add names to `cadml_core`;
* add optional members to a contract: a plugin without them works as before;
* add fields with a default to a data type, and values to what the host passes on (error codes, rules of the
  pickle scan, properties of a document);
* add tests to the kit that check what the contracts already say.

A minor release does not

* remove or rename a name of `cadml_core`, a hook, or a member of a contract;
* require a further member, or pass an argument that an existing plugin does not take;
* change the type, unit, shape or meaning of what is passed or returned.

## How something is deprecated

1. The changelog lists it under *Deprecated*, with what to use instead.
2. For at least two minor releases, and at least six months, it keeps working and raises a
   `DeprecationWarning` that names the replacement. pytest shows such warnings.
3. It is removed with the next generation of the contracts only: a new group, `NEXT`.

## Plugins of another generation

A host speaks one generation. It finds the entry points of the others by the name of their group, does not
import them, and records each as `incompatible` with what to install instead; `cadml plugins list` and
`cadml plugins doctor` show it. Everything else works as if they were not there.

## The names of `cadml_core`

"""


def plugin_api() -> str:
    """Return the page of the public surface."""
    generation = int(hookspecs.ENTRY_POINT_GROUP.rpartition(".v")[2])
    prose = PLUGIN_API.replace("GROUP", hookspecs.ENTRY_POINT_GROUP).replace(
        "NEXT", f"cadml.v{generation + 1}"
    )
    rows = [(f"`{name}`", told) for name, told in public_names().items()]
    return prose + table("name", "what it is", rows=rows)


def public_names() -> dict[str, str]:
    """Return every name of ``cadml_core.__all__`` with the first sentence of its documentation."""
    surface = ast.parse(Path(cadml_core.__file__).read_text(encoding="utf-8"))
    homes = {
        alias.name: node.module
        for node in surface.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {name: summary(homes[name], name) for name in cadml_core.__all__}


def summary(module: str, name: str) -> str:
    """Return the first sentence of a docstring; that of a constant stands below it in the source."""
    source = Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8")
    body = ast.parse(source).body
    for node, following in itertools.zip_longest(body, body[1:]):
        text = None
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            text = ast.get_docstring(node)
        elif isinstance(node, ast.Assign) and name in [getattr(target, "id", "") for target in node.targets]:
            text = following.value.value if isinstance(following, ast.Expr) else None  # type: ignore[attr-defined]
        if text:
            first = text.split("\n\n")[0].replace("\n", " ").replace("``", "`")
            return re.split(r"(?<=\.) ", " ".join(first.split()))[0]
    raise LookupError(f"{module}.{name} has no docstring")


def protocol(contract: type) -> str:
    """Return a contract's members with their docstrings."""
    lines = [f"{inspect.getdoc(contract)}\n\n"]
    lines += [f"* `{name}: {kind}`\n" for name, kind in contract.__annotations__.items()]
    for name, member in vars(contract).items():
        if inspect.isfunction(member) and (not name.startswith("_") or name == "__len__"):
            text = inspect.getdoc(member) or ""
            if text:
                signature = str(inspect.signature(member)).replace("'", "")
                lines.append(f"* `{name}{signature}`\n\n{prose(text)}\n")
    return "".join(lines)


def prose(text: str) -> str:
    """Return a docstring as the indented paragraphs of a list item, its sections as lists."""
    lines = []
    for line in text.splitlines():
        deeper = line.startswith("    ")
        lines.append(f"  * {line.strip()}\n" if deeper else f"  {line}\n" if line else "\n")
        if line.endswith(":") and not deeper:
            lines.append("\n")
    return "".join(lines)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below this one with its full name."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, f"{path} {name}")


def commands() -> str:
    """Return the page of commands."""
    parts = [
        "# Commands\n\nResults go to standard output, progress and errors to standard error. Exit status:"
        " 0 ok, 1 refused or failed, 2 misuse. With `--json` the output is one JSON document, errors"
        " included.\n"
    ]
    for path, command in walk(cadml, "cadml"):
        rows = [parameter(item) for item in command.params]
        usage = " ".join(command.collect_usage_pieces(click.Context(command)))
        help_text = inspect.cleandoc(command.help or "").replace("\b\n", "")
        parts.append(f"\n## `{path}`\n\n{help_text}\n\n`{path} {usage}`\n")
        if rows:
            parts.append("\n" + table("option", "default", "meaning", rows=rows))
    return "".join(parts)


def parameter(item: click.Parameter) -> tuple[str, str, str]:
    """Return one row of a command's options."""
    info: dict[str, Any] = item.to_info_dict()
    default = info["default"]
    shown = f"`{default}`" if isinstance(default, int | float | str) and default not in ("", False) else ""
    names = ", ".join(info["opts"]) if info["param_type_name"] == "option" else info["name"].upper()
    return f"`{names}`", shown, info.get("help") or ""


def metric_page() -> str:
    """Return the page of metrics."""
    rows = []
    for name in metrics.__all__:
        collector = getattr(metrics, name)
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        rows.append((f"`{name}`", collector._type, labels, collector._documentation))
    return "# Metrics\n\nPrometheus metrics of cadml itself.\n\n" + table(
        "metric", "type", "labels", "meaning", rows=rows
    )


def features() -> str:
    """Return the page of feature slots."""
    versions = dict(load_plugins(Settings(safe_mode=True)).registry.features)
    plan = {name: versions.pop(name) for name in ("v1", "v2", "v3", "v4")}
    sizes = ", ".join(f"{name} has {len(version.slots)}" for name, version in plan.items())
    page = (
        "# Feature slots\n\nRaw values, in the order they are stored. A version is the slots up to it:"
        f" {sizes}.\n\n" + _slots(plan["v4"])
    )
    for name, version in versions.items():
        refined = isinstance(version, RefinedVersion)
        page += block_table(version) if refined else f"\n## {name}\n\n{_slots(version)}"
    return page


def _slots(version: FeatureVersion) -> str:
    rows = [
        (str(index), f"`{slot.name}`", slot.group, slot.since, slot.unit, slot.description)
        for index, slot in enumerate(version.slots)
    ]
    return table("index", "name", "group", "since", "unit", "meaning", rows=rows)


def block_table(version: RefinedVersion) -> str:
    """Return the blocks of a version that has too many slots to list."""
    rows = [
        (
            f"`{name}`",
            f"{place.start} to {place.stop - 1}",
            version.slots[place.start].description.split(";")[0],
        )
        for name, place in version.blocks.items()
    ]
    return (
        f"\n## {version.name}\n\n{len(version.slots)} slots in blocks; an index holds"
        f" {version.embed(np.zeros((1, len(version.slots)))).shape[1]} dimensions made of them, and its first"
        f" {version.candidates} hits can be ranked again by all.\n\n"
        + table("block", "slots", "meaning", rows=rows)
    )


def http_api() -> str:
    """Return the page of the server's operations."""
    with tempfile.TemporaryDirectory() as folder:
        named = {
            "data_dir": folder,
            "api_keys": ("key",),
            "safe_mode": True,
            "opcode_audit_persist_interval": 0.0,
        }
        app = create_app(load_settings(named, environ={}))
        document = with_bodies(app.openapi_schema.to_schema())
        app.state.services.close()
    parts = [
        "# HTTP API\n\n`cadml serve` shows the same at `/docs`, where it can be tried;"
        " `/docs/openapi.json` is the OpenAPI document. *key* needs the header `X-API-Key`,"
        " *admin* also `X-Admin-Token`.\n"
    ]
    for path, item in sorted(document["paths"].items()):
        parts += [operation_text(document, method, path, found) for method, found in item.items()]
    return "".join(parts)


def operation_text(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    """Return one operation with its parameters, body and answers."""
    keys = {name for group in operation.get("security", []) for name in group}
    access = "admin" if "AdminToken" in keys else "key" if keys else "open"
    text = f"\n## `{method.upper()} {path}`\n\n*{access}* · {operation['summary']}\n"
    if described := operation.get("description"):
        text += f"\n{described}\n"
    rows = [
        (f"`{name}`", where, "yes" if required else "", told)
        for name, where, required, told in [*query_rows(operation), *body_rows(document, operation)]
    ]
    if rows:
        text += "\n" + table("name", "in", "required", "meaning", rows=rows)
    codes = [
        code
        for status, answer in operation["responses"].items()
        if status >= "400"
        for code in re.findall(r"`([A-Z_]+)`:", answer["description"])
    ]
    return text + "\nErrors: " + ", ".join(f"`{code}`" for code in codes) + "\n"


def query_rows(operation: dict[str, Any]) -> Iterator[tuple[str, str, bool, str]]:
    """Yield name, place, whether it is required, and meaning of each parameter."""
    for item in operation.get("parameters") or []:
        yield item["name"], item["in"], item.get("required", False), item.get("description") or ""


def body_rows(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, str, bool, str]]:
    """Yield the same of each field of the body."""
    for kind, media in (operation.get("requestBody") or {}).get("content", {}).items():
        schema = media["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for name, field in schema["properties"].items():
            place = "form" if "multipart" in kind else "body"
            told = [found.get("description") for found in (field, *field.get("anyOf", []))]
            yield name, place, name in schema.get("required", []), next(filter(None, told), "")


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "errors.md": errors,
    "features.md": features,
    "hooks.md": hooks,
    "http-api.md": http_api,
    "metrics.md": metric_page,
    "plugin-api.md": plugin_api,
    "settings.md": settings,
}


def main(check: bool) -> int:
    """Write every page, or with ``check`` only say which is out of date. Return the exit status."""
    stale = []
    for name, render in PAGES.items():
        path, text = FOLDER / name, NOTE + render()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name} {'is out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
