"""What each command imports: help loads click alone, and a command only what it works with."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from cadml_hostapp.cli.discovery import third_party_plugins

HEAVY = {"OCP", "faiss", "ezdxf", "numpy", "sqlalchemy", "litestar"}
HOST = {"OCP", "ezdxf", "litestar", "uvicorn"}
"""What only ``serve`` and ``demo`` need in their own process; files are read in others."""

HELP = """
import sys
import click
from cadml_hostapp.cli import main

def show_help(command, path):
    try:
        command.main([*path, "--help"], standalone_mode=False)
    except SystemExit:
        pass

def walk(command, path, context):
    show_help(main, path)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            walk(command.get_command(context, name), [*path, name], context)

walk(main, [], click.Context(main))
"""
RUN = """
import sys
from cadml_hostapp.cli import main
main(sys.argv[1:], standalone_mode=False)
"""
REPORT = "\nprint('imported', *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"

COMMAND_PLUGIN = """
import click
from cadml_core import hookimpl

@click.command()
@click.pass_obj
def tally(options):
    "Count things."
    click.echo(options.settings().feature_version)

@hookimpl
def cadml_commands():
    return [tally]
"""


def imported(code: str, folder: Path, *arguments: object) -> tuple[set[str], str]:
    """Run code in a process of its own; return the top-level modules it imported, and its output."""
    environ = {**os.environ, "CADML_DATA_DIR": str(folder / "data"), "PARSE_WORKERS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code + REPORT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environ,
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stderr.rpartition("imported ")[2].split()), done.stdout


def test_help_imports_click_and_nothing_heavy(tmp_path: Path) -> None:
    """The help of every command and subcommand needs neither the core nor any library but click."""
    modules, shown = imported(HELP, tmp_path)
    assert "Usage:" in shown
    assert "propose-whitelist" in shown
    assert not modules & (HEAVY | {"cadml_core", "cadml_plugins", "msgspec", "rich", "prometheus_client"})


def test_the_version_imports_nothing_heavy(tmp_path: Path) -> None:
    """``cadml --version`` reads the metadata of the distribution, and nothing else."""
    modules, shown = imported(RUN, tmp_path, "--version")
    assert shown.startswith("cadml ")
    assert not modules & (HEAVY | {"cadml_core", "rich"})


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        (["settings", "--json"], HOST | {"faiss", "sqlalchemy", "alembic", "cadml_plugins"}),
        (["keys", "rotate", "--json"], HOST | {"faiss", "sqlalchemy", "alembic", "cadml_plugins"}),
        (["plugins", "list", "--json"], HOST | {"faiss", "sqlalchemy", "alembic"}),
        (["model", "scan", "model.pkl", "--json"], HOST | {"faiss", "sqlalchemy", "alembic"}),
        (["ingest", "part.stl", "--json"], HOST | {"faiss"}),
        (["search", "part.stl", "--json"], HOST),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_uses(command: list[str], unused: set[str], tmp_path: Path) -> None:
    """No web framework and no CAD kernel in this process, and no database without a catalogue."""
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    corners = ("0 0 0", "0 1 0", "1 0 0", "0 0 1")
    faces = ((0, 1, 2), (0, 2, 3), (0, 3, 1), (2, 1, 3))
    text = "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {corners[corner]}\n" for corner in face)
        + "endloop\nendfacet\n"
        for face in faces
    )
    (tmp_path / "part.stl").write_text(f"solid t\n{text}endsolid t\n")
    modules, shown = imported(RUN, tmp_path, *command)
    assert shown.startswith(("{", "["))
    assert not modules & unused


def install(site: Path, metadata: str, entry_points: str) -> None:
    """Lay out the metadata of a distribution."""
    (site / metadata).mkdir(parents=True)
    (site / metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1\n")
    (site / metadata / "entry_points.txt").write_text(entry_points)


def test_commands_of_plugins_are_listed_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Help loads plugins where there are any beyond the built-in ones, so that their commands are in it."""
    site = tmp_path / "site"
    install(site, "tally-1.dist-info", "[cadml.v1]\ntally = tally_plugin\n")
    (site / "tally_plugin.py").write_text(COMMAND_PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(site))
    _, shown = imported(RUN, tmp_path, "--help")
    assert "Count things." in shown
    assert imported(RUN, tmp_path, "tally")[1].strip() == "v3"


@pytest.mark.parametrize(
    ("metadata", "entry_points", "found"),
    [
        ("cadml_off-1.0.dist-info", "[cadml.v1]\noff = cadml_off\n", True),
        ("cadml_off.egg-info", "[console_scripts]\nx = y:z\n\n[cadml.v2]\noff = cadml_off\n", True),
        ("cadml-0.1.0.dist-info", "[cadml.v1]\nstl = cadml_plugins.formats.stl.adapter\n", False),
        ("other-1.0.dist-info", "[console_scripts]\nother = other:main\n", False),
        ("cadml_off-1.0.dist-info.bak", "[cadml.v1]\noff = cadml_off\n", False),
    ],
)
def test_third_party_plugins_are_told_by_their_metadata(
    metadata: str, entry_points: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution other than our own that registers an entry point for any version of the contracts."""
    install(tmp_path / "site", metadata, entry_points)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "absent"), str(tmp_path / "site")])
    assert third_party_plugins() is found


def test_an_archive_is_left_to_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it cannot be told without reading it, so the plugins are loaded."""
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(b"PK")
    monkeypatch.setattr(sys, "path", [str(archive)])
    assert third_party_plugins()
