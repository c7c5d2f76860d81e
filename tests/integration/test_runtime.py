"""The composition root: what it opens it closes, also where it fails half-way."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cadml_core.errors import CatalogueUnavailable, InvalidSetting
from cadml_core.runtime import build_runtime
from cadml_core.settings import Settings


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_nothing_is_left_where_a_service_cannot_be_built(tmp_path: Path, temporary: Path) -> None:
    """A whitelist entry that cannot be is found after the temporary catalogue has been opened."""
    settings = Settings(data_dir=str(tmp_path / "data"), model_opcode_whitelist=("no such thing",))
    # The error, kept, keeps alive what was built: nothing is closed by the garbage collector.
    with pytest.raises(InvalidSetting) as kept:
        build_runtime(settings, create_catalogue=False)
    assert not any(temporary.iterdir())
    assert "no such thing" in kept.value.message


def test_closing_twice_is_allowed_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    """What a command used without a catalogue of its own is gone; no catalogue was made."""
    settings = Settings(data_dir=str(tmp_path / "data"))
    with build_runtime(settings, create_catalogue=False) as runtime:
        assert runtime.catalog.parts() == []
        assert any(temporary.iterdir())
    runtime.close()
    assert not any(temporary.iterdir())
    assert not settings.catalogue_path.exists()
    with pytest.raises(CatalogueUnavailable, match="closed"):
        runtime.catalog.parts()
