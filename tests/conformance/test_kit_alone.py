"""The conformance kit runs with the few packages that ``docs/how-to/write-a-plugin.md`` names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BLOCKED = """
import importlib.abc
import sys

ALLOWED = set(sys.argv[1].split())

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith("_sysconfigdata") or top in sys.stdlib_module_names:
            return None
        if top not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not among the packages that the how-to names", name=name)
        return None

sys.meta_path.insert(0, Blocked())
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""

TESTS = """
import pytest
from cadml_core.testing import FeatureVersionContract, FormatAdapterContract
from cadml_core.testing import OpcodePolicyContract, VectorBackendContract
from cadml_off import OffAdapter
from cadml_plugins.features import v4
from cadml_plugins.policies import blacklist
from cadml_plugins.vectors import memory


class TestFormat(FormatAdapterContract):
    @pytest.fixture
    def adapter(self):
        return OffAdapter()

    @pytest.fixture
    def sample(self, tmp_path):
        path = tmp_path / "sample.off"
        corners = "0 0 0\\n1 0 0\\n0 1 0\\n0 0 2\\n"
        path.write_text(f"OFF\\n4 4 6\\n{corners}3 0 2 1\\n3 0 1 3\\n3 0 3 2\\n3 1 2 3\\n")
        return path


class TestVersion(FeatureVersionContract):
    @pytest.fixture
    def version(self):
        return v4.cadml_feature_versions()[0]


class TestPolicy(OpcodePolicyContract):
    @pytest.fixture
    def policy(self):
        return blacklist.cadml_opcode_policies()[0]


class TestBackend(VectorBackendContract):
    @pytest.fixture
    def backend(self):
        return memory.cadml_vector_backends()[0]
"""


def test_the_kit_needs_what_the_how_to_installs(tmp_path: Path) -> None:
    """All four contracts pass where nothing else can be imported: no CAD kernel, no database, no server."""
    page = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    named = re.search(r"pip install --no-deps cadml\n\$ pip install (.+)\n", page)
    assert named is not None
    of_pytest = {"_pytest", "iniconfig", "packaging", "py", "pygments"}
    allowed = {*named[1].split(), *of_pytest, "cadml_core", "cadml_off", "cadml_plugins", "test_kit"}
    (tmp_path / "test_kit.py").write_text(TESTS)
    paths = [ROOT, ROOT / "plugins", ROOT / "contrib" / "plugins" / "cadml-off"]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, " ".join(allowed), str(tmp_path / "test_kit.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout
