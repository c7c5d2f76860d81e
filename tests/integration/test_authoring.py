"""A plugin of each kind, from nothing to tested; and what the scorecard says of one that is faulty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cadml_core.errors import InvalidSetting
from cadml_hostapp.authoring.writing import kinds, write_plugin
from cadml_hostapp.cli.plugins_new import KINDS
from tests.integration.command import in_own_process, in_process

REPOSITORY = Path(__file__).parents[2]
LIGHT = {"CADML_PLUGINS_DISABLE": "step,iges,dxf,shape"}


def installed(distribution: Path, site: Path) -> dict[str, str]:
    """Lay a distribution out as pip does, and return the environment in which it is installed."""
    import tomllib

    project = tomllib.loads((distribution / "pyproject.toml").read_text())
    (entry,) = project["project"]["entry-points"]["cadml.v1"].items()
    name, version = project["project"]["name"], project["project"]["version"]
    info = site / f"{entry[1]}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[cadml.v1]\n{entry[0]} = {entry[1]}\n")
    (site / f"{entry[1]}.py").write_text((distribution / f"{entry[1]}.py").read_text())
    return {**LIGHT, "PYTHONPATH": os.pathsep.join((str(site), str(REPOSITORY)))}


def scorecard(environ: dict[str, str], folder: Path, name: str, *options: str, code: int = 0) -> Any:
    """Run ``cadml plugins test`` and return what it prints for machines."""
    done = in_own_process("plugins", "test", name, "--json", *options, environ=environ, folder=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_command_offers_every_kind_that_there_is() -> None:
    """Its choices are written down, so that ``--help`` reads no files; they are those of the templates."""
    assert kinds() == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_installs_and_passes_its_tests(kind: str, tmp_path: Path) -> None:
    """Without a line of the author's, its own tests pass."""
    done = in_process(
        "plugins", "new", "sheet-metal", "--kind", kind, "--into", str(tmp_path / "new"), environ={}
    )
    assert done.returncode == 0, done.stderr
    assert "pip install -e" in done.stdout
    environ = installed(tmp_path / "new", tmp_path / "site")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CADML_")}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "new",
        env={**inherited, **environ},
        capture_output=True,
        text=True,
    )
    assert tests.returncode == 0, tests.stdout


@pytest.mark.parametrize("name", ["", "Sheet", "sheet metal", "../up", "2d", "a--b", "cadml-", "a-", "naïve"])
def test_refuses_what_cannot_name_a_plugin(name: str, tmp_path: Path) -> None:
    """The name becomes that of a distribution, a module and a class; nothing is written for others."""
    with pytest.raises(InvalidSetting, match="cannot name a plugin"):
        write_plugin(name, "format", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_never_writes_over_what_is_there(tmp_path: Path) -> None:
    """Two of one name, or a folder that happens to be called so: the first stays as it is."""
    write_plugin("points", "format", tmp_path / "new")
    mine = tmp_path / "new" / "cadml_points.py"
    mine.write_text("# mine")
    done = in_process(
        "plugins", "new", "points", "--kind", "policy", "--into", str(tmp_path / "new"), "--json", environ={}
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "SETTING_INVALID"
    assert mine.read_text() == "# mine"


def test_the_scorecard_of_a_good_format(tmp_path: Path) -> None:
    """The kit passes, damaged files are refused with a reason, and a badge says so."""
    write_plugin("points", "format", tmp_path / "new")
    environ = installed(tmp_path / "new", tmp_path / "site")
    badge = tmp_path / "badge.svg"
    card = scorecard(environ, tmp_path / "new", "cadml-points", "--badge", str(badge))
    assert card["failed"] == 0
    assert {check["area"] for check in card["checks"]} == {"contract", "robustness"}
    assert {check["outcome"] for check in card["checks"]} == {"passed"}
    assert f"{len(card['checks'])} of {len(card['checks'])} checks" in badge.read_text()
    # Without a sample nothing can be tried, and that is no pass.
    (tmp_path / "empty").mkdir()
    told = scorecard(environ, tmp_path / "empty", "points")["checks"]
    assert [(check["outcome"], check["detail"]) for check in told] == [
        ("skipped", "name a good file: --sample")
    ]


FAULTY = """
import os
import msgspec
import numpy as np
from cadml_core import *
from {module} import {base}

{classes}

@hookimpl
def {hook}():
    return [{names}]
"""
FAULTS: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "format": (
        "cadml_format_adapters",
        "Adapter",
        {
            "raises": ("def read(self, path, limits): raise RuntimeError('oops')", "reads a good file"),
            "sniffs": ("def sniff(self, head): return head[0] == 36", "sniff never raises"),
            "moody": (
                "def read(self, path, limits):\n"
                "        found = super().read(path, limits)\n"
                "        return msgspec.structs.replace(found, warnings=(os.urandom(8).hex(),))",
                "reads the same twice",
            ),
            "ends": (  # the process it is tried in, which must not be that of the scorecard
                "def read(self, path, limits):\n"
                "        if not path.name.startswith('sample'): os._exit(3)\n"
                "        return super().read(path, limits)",
                "reads any name",
            ),
        },
    ),
    "feature": (
        "cadml_feature_versions",
        "Features",
        {
            "nan": ("def embed(self, values): return super().embed(values) * np.nan", "embedding is finite"),
            "narrow": (
                "def extract(self, document): return super().extract(document).astype(np.float32)",
                "values are finite float64",
            ),
            "drifts": (
                "def extract(self, document): return super().extract(document) + np.random.random()",
                "extraction is deterministic",
            ),
            "lax": ("def embed(self, values): return values.astype(np.float32)", "embedding refuses another"),
        },
    ),
    "policy": (
        "cadml_opcode_policies",
        "Policy",
        {
            "trusts": (
                "def judge(self, scan): return Verdict(self.name, allowed=True)",
                "refuses what is malformed",
            ),
            "forges": (
                "def judge(self, scan):\n"
                "        return Verdict('whitelist', allowed=not scan.malformed, findings=scan.malformed)",
                "signs its verdict",
            ),
            "refuses": (
                "def judge(self, scan): return Verdict(self.name, allowed=False, findings=scan.malformed)",
                "allows plain numbers",
            ),
        },
    ),
    "vector": (
        "cadml_vector_backends",
        "Backend",
        {
            "reversed": (
                "def open(self, config, **how):\n"
                "        index = super().open(config, **how)\n"
                "        search = index.search\n"
                "        index.search = lambda *a, **k: Hits(*(each[:, ::-1] for each in search(*a, **k)))\n"
                "        return index",
                "finds what brute force finds",
            ),
            "unfiltered": (
                "def open(self, config, **how):\n"
                "        index = super().open(config, **how)\n"
                "        search = index.search\n"
                "        index.search = lambda queries, k, allowed=None: search(queries, k)\n"
                "        return index",
                "filters before the cut",
            ),
            "forgetful": (
                "def open(self, config, **how):\n"
                "        index = super().open(config, **how)\n"
                "        index.remove = lambda ids: 0\n"
                "        return index",
                "remove deletes",
            ),
        },
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_found_and_blamed_on_the_right_object(kind: str, tmp_path: Path) -> None:
    """Objects with one fault each: the check that is about it fails, with a reason."""
    hook, suffix, faults = FAULTS[kind]
    write_plugin("sound", kind, tmp_path / "new")
    environ = installed(tmp_path / "new", tmp_path / "site")
    classes = "\n".join(
        f"class {name.capitalize()}(Sound{suffix}):\n    name = {name!r}\n    {body}\n"
        + ("    suffixes = (f'.{name}',)\n" if kind == "format" else "")
        for name, (body, _) in faults.items()
    )
    names = ", ".join(f"{name.capitalize()}()" for name in faults)
    (tmp_path / "site" / "cadml_faulty.py").write_text(
        FAULTY.format(module="cadml_sound", base=f"Sound{suffix}", classes=classes, hook=hook, names=names)
    )
    info = tmp_path / "site" / "cadml_faulty-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cadml-faulty\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[cadml.v1]\nfaulty = cadml_faulty\n")
    card = scorecard(environ, tmp_path / "new", "faulty", code=1)
    for name, (_, expected) in faults.items():
        failed = {
            check["name"]
            for check in card["checks"]
            if check["subject"] == name and check["outcome"] == "failed"
        }
        assert any(expected in check for check in failed), (name, failed)
        reasons = [check["detail"] for check in card["checks"] if check["outcome"] == "failed"]
        assert all(reasons)
