"""The installed plugin that a scorecard is about: its objects, and the module of tests for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from cadml_core.errors import NotFound
from cadml_core.plugins.loader import LoadedPlugins, load_plugins
from cadml_core.plugins.records import PluginRecord
from cadml_core.plugins.registry import KINDS, Kind
from cadml_core.settings import load_settings

CONTRACTS = {
    "formats": ("FormatAdapterContract", "adapter"),
    "features": ("FeatureVersionContract", "version"),
    "policies": ("OpcodePolicyContract", "policy"),
    "pictures": ("PictureMakerContract", "maker"),
    "vectors": ("VectorBackendContract", "backend"),
}
"""Field of the registry -> class of the conformance kit, and the fixture that it wants."""

_TESTS = '''"""Written by ``cadml plugins test``."""

from pathlib import Path

import pytest

import cadml_core.testing as kit
from cadml_hostapp.authoring.subjects import copied, subject


class Test(kit.{contract}):
    @pytest.fixture
    def {fixture}(self):
        return subject({field!r}, {name!r})
'''
_SAMPLE = """
    @pytest.fixture
    def sample(self, tmp_path):
        return copied(Path({sample!r}), tmp_path)
"""


def record_of(loaded: LoadedPlugins, name: str) -> PluginRecord:
    """Return the record of a plugin: by the name of its entry point or of its distribution.

    Raises:
        NotFound: No such plugin is installed; the message lists those that are.
    """
    found = [record for record in loaded.records if name in (record.name, record.distribution)]
    if not found:
        known = ", ".join(sorted(record.name for record in loaded.records))
        raise NotFound(f"no plugin {name!r} is installed; installed: {known}", stage="plugins", name=name)
    return found[0]


def provided(record: PluginRecord) -> Iterator[tuple[Kind, str]]:
    """Yield kind and name of each object that a plugin registered."""
    for kind in KINDS.values():
        if kind.name in record.kinds:
            loaded = getattr(load_plugins(load_settings()).registry, kind.field)
            yield from ((kind, name) for name in record.provides if name in loaded)


def subject(field: str, name: str) -> object:
    """Return the object of this name from the installed plugins."""
    return getattr(load_plugins(load_settings()).registry, field)[name]


def copied(sample: Path, folder: Path) -> Path:
    """Return a copy of a sample, which a test may damage."""
    return Path(shutil.copy(sample, folder / sample.name))


def write_tests(kind: Kind, name: str, sample: Path | None, folder: Path) -> Path:
    """Write a module of tests that runs the kit on one object; return its path."""
    contract, fixture = CONTRACTS[kind.field]
    text = _TESTS.format(contract=contract, fixture=fixture, field=kind.field, name=name)
    if kind.field == "formats":
        text += _SAMPLE.format(sample=str(sample and sample.absolute()))
    path = folder / "test_contract.py"
    path.write_text(text, encoding="utf-8")
    return path
