"""Every built-in format adapter keeps the contract of its kind, on a sample written by another program."""

from __future__ import annotations

from pathlib import Path

import pytest

from cadml_core import FormatAdapter
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings
from cadml_core.testing import FormatAdapterContract
from cadml_hostapp.demo import planted, solids

FORMATS = load_plugins(Settings(safe_mode=True)).registry.formats


def write_sample(name: str, folder: Path) -> Path:
    """Write a good file of that format: a drilled plate."""
    path = folder / f"sample.{name}"
    if name == "dxf":
        planted.draw(path, 2)
    else:
        solids.write(solids.plate(40.0, 20.0, 5.0, (2, 1), 6.0), path)
    return path


@pytest.mark.parametrize("name", FORMATS)
class TestFormatAdapters(FormatAdapterContract):
    """dxf, iges, step and stl."""

    @pytest.fixture
    def adapter(self, name: str) -> FormatAdapter:
        """The adapter of that name."""
        return FORMATS[name]

    @pytest.fixture
    def sample(self, name: str, tmp_path: Path) -> Path:
        """A drilled plate."""
        return write_sample(name, tmp_path)


def test_there_is_something_to_check() -> None:
    """An empty registry would make every test above vanish."""
    assert set(FORMATS) == {"dxf", "iges", "step", "stl"}


def test_no_format_claims_another(tmp_path: Path) -> None:
    """Each sniff says yes to its own sample and no to every other's."""
    for name in FORMATS:
        head = write_sample(name, tmp_path).read_bytes()[:4096]
        assert [other for other, adapter in FORMATS.items() if adapter.sniff(head)] == [name]
