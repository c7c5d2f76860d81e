"""A file that is not what its name says is refused without a word of what is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.reading import read_file
from cadml_core.settings import Settings

SECRET = "hunter2secret"
CONTENTS = {
    "a list of users": f"root:{SECRET}:0:0:root:/root:/bin/sh\n",
    "solids": f"solid {SECRET}\n{SECRET}\n",
    "words of a facet": f"solid x\nfacet normal 0 0 1\n{SECRET} loop\nendfacet\nendsolid x\n",
    "a coordinate": f"solid x\nfacet normal 0 0 1\nouter loop\nvertex {SECRET} 0 0\nendfacet\nendsolid x\n",
    "a group code": f"  0\nSECTION\n  2\nENTITIES\n{SECRET}\nLINE\n  0\nENDSEC\n  0\nEOF\n",
    "a number": f"  0\nSECTION\n  2\nENTITIES\n  0\nLINE\n 10\n{SECRET}\n  0\nENDSEC\n  0\nEOF\n",
    "a key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n",
}


@pytest.mark.parametrize("suffix", [".stl", ".dxf", ".step", ".igs", ".txt"])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_nothing_is_quoted(tmp_path: Path, content: str, suffix: str) -> None:
    """Whoever makes the server read a file that is not theirs learns nothing of it from the error."""
    path = tmp_path / f"file{suffix}"
    path.write_text(content)
    registry = load_plugins(Settings(safe_mode=True)).registry
    told: object
    try:
        told = read_file(
            path,
            formats=registry.formats,
            features=registry.features,
            versions=(),
            limits=ReadLimits(),
        ).document.warnings
    except CadmlError as error:
        told = [error.message, error.context]
    assert SECRET not in json.dumps(told, default=str)
