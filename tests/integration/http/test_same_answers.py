"""The command and the route that answer the same question answer it alike, from one catalogue."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click
import numpy as np
import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from cadml_core.search.spaces import SpaceName
from cadml_hostapp.app import create_app
from cadml_hostapp.cli import main
from cadml_hostapp.cli.search import METRICS
from tests.integration.http.server import (
    ADMIN_HEADERS,
    WITHOUT_KERNEL,
    settings_for,
    tetrahedron,
    wait_until_ready,
)

WRONG = "v9"
SENTENCE = "no feature version 'v9'; installed: identity, shape, v1, v2, v3, v4"
FILE = "size 11.stl"


class Both(NamedTuple):
    """A catalogue of three parts, asked in two ways."""

    client: TestClient[Litestar]
    folder: Path
    """Where the files are."""
    run: Callable[..., Any]
    """Runs ``cadml ... --json`` and returns what it printed."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A server, and the command over the same data folder."""
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("parts")
    for size in (10, 11, 50):
        (folder / f"size {size}.stl").write_bytes(tetrahedron(size))
    audit = folder / "audit.jsonl"
    environ = {
        "CADML_DATA_DIR": str(data),
        "CADML_PLUGINS_DISABLE": ",".join(WITHOUT_KERNEL),
        "PARSE_WORKERS": "1",
        "OPCODE_AUDIT_PERSIST_INTERVAL": "0",
        "OPCODE_AUDIT_PERSIST_PATH": str(audit),
    }

    def run(*arguments: object, code: int = 0) -> Any:
        done = CliRunner(env=environ).invoke(main, [*map(str, arguments), "--json"])
        assert done.exit_code == code, (arguments, done.output, done.exception)
        return json.loads(done.stdout)

    assert run("ingest", folder)["added"] == 3
    settings = settings_for(data, parse_workers=1)
    with TestClient(create_app(settings)) as client:
        client.headers.update(ADMIN_HEADERS)
        wait_until_ready(client)
        yield Both(client, folder, run)


def shape(value: Any) -> Any:
    """Return the keys of a JSON value, at every depth; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return None


def ask(both: Both, method: str, path: str, **options: Any) -> Any:
    """Return the answer of a route."""
    response = both.client.request(method, f"/api/v1{path}", **options)
    assert response.is_success, response.text
    return response.json()


@pytest.mark.parametrize("explain", [False, True])
def test_search(both: Both, explain: bool) -> None:
    """By the id of a part exactly the same answer; by a file the same as by its values."""
    flags = ["--explain"] if explain else []
    part = next(part["id"] for part in ask(both, "GET", "/parts")["items"] if part["name"] == FILE)
    body = {"id": part, "k": 2, "explain": explain}
    flags += ["--version", ask(both, "POST", "/vectors/search", json=body)["feature_version"]]
    assert both.run("search", part, "-k", 2, *flags) == ask(both, "POST", "/vectors/search", json=body)
    values = ask(both, "GET", f"/vectors/{part}")["values"]
    body = {"vector": values, "k": 2, "explain": explain}
    found = both.run("search", both.folder / FILE, "-k", 2, *flags)
    assert found == ask(both, "POST", "/vectors/search", json=body)
    assert found["hits"][0]["id"] == part


def test_the_command_offers_the_metrics_that_there_are() -> None:
    """They are repeated in the command, which does not import the search for its help."""
    assert get_args(SpaceName) == METRICS


def test_plugins(both: Both) -> None:
    """The same records; only the seconds that an import took differ."""

    def known(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert all(record["import_seconds"] >= 0 for record in records)
        return [{**record, "import_seconds": 0} for record in records]

    assert known(both.run("plugins", "list")) == known(ask(both, "GET", "/plugins"))


def test_the_document_of_a_file(both: Both) -> None:
    """``cadml extract`` shows the document, the values and the warnings that an upload answers with."""
    options = {"options": json.dumps({"store": False})}
    with (both.folder / FILE).open("rb") as file:
        answer = ask(both, "POST", "/analyze", files={"file": file}, data=options)
    told = both.run("extract", both.folder / FILE)
    assert list(told) == [
        "format",
        "sha256",
        "feature_version",
        "slots",
        "values",
        "document",
        "warnings",
    ]
    assert {key: told[key] for key in ("format", "sha256", "document", "warnings")} == {
        key: answer[key] for key in ("format", "sha256", "document", "warnings")
    }
    features = {"version": told["feature_version"], "values": told["values"], "slots": told["slots"]}
    assert features == answer["features"]


def test_migration(both: Both) -> None:
    """Preview, run and status."""
    preview = ask(both, "GET", "/vectors/migrate/preview", params={"to_version": "v4"})
    assert both.run("migrate", "preview", "v4") == preview
    rehearsed = both.run("migrate", "preview", "v4", "--rehearse")
    assert rehearsed.pop("rehearsal")["sampled"] == 3
    assert rehearsed == preview
    body = {"to_version": "v4", "dry_run": True}
    assert both.run("migrate", "run", "v4", "--dry-run") == ask(both, "POST", "/vectors/migrate", json=body)
    assert both.run("migrate", "run", "v4")["recomputed"] == 3
    assert both.run("migrate", "status") == ask(both, "GET", "/vectors/migrate/status")


def test_models(both: Both) -> None:
    """The model that was reloaded, and what the opcode audit saw."""
    sklearn = pytest.importorskip("sklearn.tree")
    folder = Path(both.client.app.state.services.runtime.settings.model_path)
    folder.mkdir(parents=True, exist_ok=True)
    values = np.arange(44.0).reshape(2, 22)
    (folder / "tree.pkl").write_bytes(pickle.dumps(sklearn.DecisionTreeClassifier().fit(values, ["a", "b"])))
    info = ask(both, "POST", "/model/reload", json={"path": "tree.pkl"})
    told = both.run("model", "reload", "tree.pkl")
    assert shape(told) == shape(info)
    assert told["sha256"] == info["sha256"]
    audit = both.client.get("/api/v1/model/opcode-audit")
    (both.folder / "audit.jsonl").write_bytes(audit.content + b"\n")
    assert both.run("model", "audit") == audit.json()


COMMANDS: dict[tuple[str, ...], list[str]] = {
    ("evaluate", "versions"): ["--version", WRONG],
    ("export", "version_name"): ["out.npz", "--version", WRONG],
    ("extract", "version_name"): [FILE, "--version", WRONG],
    ("families", "version"): ["--version", WRONG],
    ("families", "labels", "version"): ["--version", WRONG],
    ("ingest", "versions"): [FILE, "--version", WRONG],
    ("library", "map", "version"): ["map.svg", "--version", WRONG],
    ("migrate", "preview", "to_version"): [WRONG],
    ("migrate", "run", "to_version"): [WRONG],
    ("model", "train", "version_name"): ["--version", WRONG],
    ("search", "version_name"): [FILE, "--version", WRONG],
}
"""Every parameter of a command that names a feature version -> arguments with a wrong one."""


def parameters(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every parameter that names a feature version."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from parameters(found, (*path, name))
    for parameter in command.params:
        if parameter.name and "version" in parameter.name and not parameter.is_eager:
            yield (*path, parameter.name)


def test_the_commands_that_name_a_feature_version_are_known() -> None:
    """A new one has to join the walk below."""
    assert set(parameters(main)) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_refuses_an_unknown_feature_version(
    both: Both, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one code and one sentence."""
    monkeypatch.chdir(both.folder)
    problem = both.run(*path[:-1], *COMMANDS[path], code=1)
    assert (problem["code"], problem["message"]) == ("DATA_NOT_FOUND", SENTENCE)


def test_an_import_refuses_an_unknown_feature_version(both: Both) -> None:
    """It is the file that names it."""
    table = both.folder / "table.csv"
    both.run("export", table)
    table.write_text(table.read_text().replace(",v3,", f",{WRONG},"))
    problem = both.run("import", table, code=1)
    assert (problem["code"], problem["message"]) == ("DATA_NOT_FOUND", SENTENCE)


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield method, path, "query" or "body", and name of everything that names a feature version."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for parameter in operation.get("parameters") or []:
                if "version" in parameter["name"]:
                    yield method.upper(), path, "query", parameter["name"]
            content = (operation.get("requestBody") or {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
            if schema:
                for name in document["components"]["schemas"][schema]["properties"]:
                    if "version" in name:
                        yield method.upper(), path, "body", name


def test_every_route_refuses_an_unknown_feature_version(both: Both) -> None:
    """With the same code and the same sentence as the commands; found by the API's own description."""
    needed = {"id": "x", "vector": [1.0]}
    walked = []
    for method, path, place, name in routes(both.client.get("/docs/openapi.json").json()):
        address = path.replace("{part_id}", "x")
        body = {**(needed if path.endswith("/register") else {}), name: WRONG}
        if path.endswith("/vectors/search"):
            body["id"] = "x"
        sent = {"params": {name: WRONG}} if place == "query" else {"json": body}
        response = both.client.request(method, address, **sent)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (404, "DATA_NOT_FOUND"), (path, problem)
        assert problem["message"] == SENTENCE
        walked.append((method, path.removeprefix("/api/v1"), name))
    assert sorted(walked) == [
        ("GET", "/features/slots", "version"),
        ("GET", "/vectors/migrate/preview", "to_version"),
        ("GET", "/vectors/{part_id}", "version"),
        ("POST", "/vectors/migrate", "to_version"),
        ("POST", "/vectors/register", "feature_version"),
        ("POST", "/vectors/search", "feature_version"),
    ]


def test_an_unknown_policy_and_an_unknown_backend_are_refused_alike(both: Both) -> None:
    """What is named is not there, and the sentence lists what is."""
    problem = both.run("model", "scan", both.folder / FILE, "--mode", "graylist", code=2)
    assert problem["code"] == "DATA_NOT_FOUND"
    assert problem["message"] == "no opcode policy 'graylist'; installed: audit, blacklist, whitelist"
    response = both.client.post("/api/v1/vectors/backend/reload", json={"backend": "qdrant"})
    assert (response.status_code, response.json()["code"]) == (404, "DATA_NOT_FOUND")
    assert response.json()["message"] == "no vector backend 'qdrant'; installed: faiss, memory"
