"""The command and the address tell the same, and both are there once the plugin is installed."""

from click.testing import CliRunner
from litestar.testing import TestClient

from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.settings import load_settings
from cadml_hostapp.app import create_app
from cadml_hostapp.cli import main


def test_labels_are_counted_everywhere(tmp_path, monkeypatch) -> None:
    """Most frequent first; parts without a label are left out; the address needs a key."""
    settings = load_settings({"data_dir": str(tmp_path), "api_keys": ("key",)}, environ={})
    with Catalog.open(settings.effective_database_url) as catalog:
        names = ("nut", "bolt", "bolt", None)
        catalog.add([NewPart(id=str(n), label=label) for n, label in enumerate(names)])

    result = CliRunner().invoke(main, ["--data-dir", str(tmp_path), "labels"])
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.output.splitlines()] == [["2", "bolt"], ["1", "nut"]]

    with TestClient(create_app(settings)) as client:
        address = "/api/v1/plugins/labels/counts"
        assert client.get(address).status_code == 401
        assert client.get(address, headers={"X-API-Key": "key"}).json() == {"bolt": 2, "nut": 1}
        assert address in client.get("/docs/openapi.json").json()["paths"]
