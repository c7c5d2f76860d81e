"""The command and the address tell the same, and both are there once the plugin is installed."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from litestar.testing import TestClient

from cadml_core.settings import load_settings
from cadml_hostapp.app import create_app
from cadml_hostapp.cli import main

FACET = "facet normal 0 0 1 outer loop vertex 0 0 0 vertex {0} 0 0 vertex 0 1 0 endloop endfacet"


def cadml(data: Path, *arguments: str) -> str:
    """Run the command and return what it prints."""
    result = CliRunner().invoke(main, ["--data-dir", str(data), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A catalogue of two bolts, a nut, and a part without a label."""
    for width, name in enumerate(("nut/m6", "bolt/m6", "bolt/m8", "unsorted"), start=1):
        path = tmp_path / "parts" / f"{name}.stl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"solid part {FACET.format(width)} endsolid part")
    labelled = [str(tmp_path / "parts" / label) for label in ("nut", "bolt")]
    cadml(tmp_path / "data", "ingest", *labelled, "--label-from", "parent")
    cadml(tmp_path / "data", "ingest", str(tmp_path / "parts" / "unsorted.stl"))
    return tmp_path / "data"


def test_labels_are_counted_everywhere(data: Path) -> None:
    """Most frequent first; parts without a label are left out; the address needs a key."""
    printed = cadml(data, "labels")
    assert [line.split() for line in printed.splitlines()] == [["2", "bolt"], ["1", "nut"]]

    settings = load_settings({"data_dir": str(data), "api_keys": ("key",)}, environ={})
    with TestClient(create_app(settings)) as client:
        address = "/api/v1/plugins/labels/counts"
        assert client.get(address).status_code == 401
        assert client.get(address, headers={"X-API-Key": "key"}).json() == {"bolt": 2, "nut": 1}
        assert address in client.get("/docs/openapi.json").json()["paths"]


def test_counting_leaves_no_catalogue_behind(tmp_path: Path) -> None:
    """Where there is no catalogue the command prints nothing and makes none."""
    assert cadml(tmp_path / "data", "labels") == ""
    assert not (tmp_path / "data").exists()
