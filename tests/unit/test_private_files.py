"""Folders and files of the data folder, and exports, are for their owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cadml_core.private_files import private_file, private_folder
from cadml_core.runtime import build_runtime
from tests.integration.command import in_process
from tests.integration.http.server import settings_for, tetrahedron


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Each umask that somebody may have."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The mode of everything in a folder, and of itself, that is not for its owner alone."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077 or not mode & 0o400:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def test_folders_and_files_are_private(tmp_path: Path, umask: int) -> None:
    """Those above that were missing too; what was there keeps its mode."""
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o755)
    private_folder(public / "a" / "b")
    private_folder(public)
    private_file(public / "a" / "b" / "file")
    assert modes(public / "a") == {}
    assert stat.S_IMODE(public.stat().st_mode) == 0o755
    (public / "file").touch()
    (public / "file").chmod(0o644)
    private_file(public / "file")
    assert stat.S_IMODE((public / "file").stat().st_mode) == 0o644
    with pytest.raises(NotADirectoryError):
        private_folder(public / "file")


@pytest.mark.parametrize("umask", [0o000, 0o022], indirect=True)
def test_the_data_folder_is_private(tmp_path: Path, umask: int) -> None:
    """Catalogue with its log, uploads with their folders, and what the server remembers."""
    from litestar.testing import TestClient

    from cadml_hostapp.app import create_app
    from cadml_hostapp.keys import KeyFile
    from tests.integration.http.server import HEADERS

    folder = tmp_path / "deep" / "data"
    KeyFile(folder).create()
    with TestClient(create_app(settings_for(folder))) as client:
        files = {"file": ("part.stl", tetrahedron())}
        assert client.post("/api/v1/analyze", headers=HEADERS, files=files).status_code == 201
        names = {path.name for path in folder.rglob("*")}
        assert {"catalogue.sqlite3-wal", "catalogue.sqlite3-shm", "uploads", "incoming"} <= names
        assert modes(tmp_path / "deep") == {}


@pytest.mark.parametrize("umask", [0o000, 0o022], indirect=True)
@pytest.mark.parametrize("suffix", ["csv", "npz", "jsonl"])
def test_exports_are_private(tmp_path: Path, umask: int, suffix: str) -> None:
    """Also where a file that everybody could read was there before."""
    data, target = tmp_path / "data", tmp_path / f"out.{suffix}"
    with build_runtime(settings_for(data)) as runtime:
        runtime.catalog.register_vector("a", "v3", np.zeros(22))
    target.touch()
    target.chmod(0o666)
    done = in_process("export", str(target), environ={"CADML_DATA_DIR": str(data)})
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert modes(data) == {}
