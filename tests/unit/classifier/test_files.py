"""Model files are read once, from the model folder only, and never through a link."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cadml_core.classifier.files import read_model
from cadml_core.errors import CadmlError, InvalidInput, ModelRejected, NotFound


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model folder with files, links, a pipe and folders; something secret lies beside it."""
    (tmp_path / "secret.pkl").write_bytes(b"secret")
    root = tmp_path / "models"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.pkl").write_bytes(b"content")
    (root / "sub" / "deep" / "b.pkl").write_bytes(b"deep")
    (root / "link.pkl").symlink_to(tmp_path / "secret.pkl")
    (root / "inner.pkl").symlink_to(root / "a.pkl")
    (root / "folder").symlink_to(tmp_path)
    (root / "dangling.pkl").symlink_to(root / "nothing")
    os.mkfifo(root / "pipe.pkl")
    return root


def test_reads_bytes_and_hash(root: Path) -> None:
    """The bytes come with their own sha256 and the path inside the folder."""
    found = read_model(root, "sub/deep/b.pkl", 100)
    assert (found.path, found.data) == ("sub/deep/b.pkl", b"deep")
    assert found.sha256 == hashlib.sha256(b"deep").hexdigest()


def test_accepts_absolute_paths_inside(root: Path, tmp_path: Path) -> None:
    """An absolute path inside the folder works, also where the folder itself is reached through a link."""
    assert read_model(root, str(root / "a.pkl"), 100).path == "a.pkl"
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert read_model(linked, str(linked / "a.pkl"), 100).data == b"content"
    assert read_model(linked, str(root / "a.pkl"), 100).data == b"content"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "a\0b",
        "../secret.pkl",
        "sub/../../secret.pkl",
        "sub/../a.pkl",
        "/etc/passwd",
        "link.pkl",
        "inner.pkl",
        "folder/secret.pkl",
        "dangling.pkl",
        "pipe.pkl",
        "sub",
        "a.pkl/b",
    ],
)
def test_refuses_what_leads_elsewhere(root: Path, path: str) -> None:
    """Nothing outside the folder, behind a link or other than a regular file is opened."""
    with pytest.raises(InvalidInput) as caught:
        read_model(root, path, 100)
    assert caught.value.stage == "model_reload"


def test_missing_files_name_the_path(root: Path) -> None:
    """A missing file, or folder on the way, is DATA_NOT_FOUND with the path as it was asked for."""
    for path in ("no.pkl", "no/a.pkl"):
        with pytest.raises(NotFound) as caught:
            read_model(root, path, 100)
        assert caught.value.context == {"path": path}
    with pytest.raises(NotFound):
        read_model(root / "nowhere", "a.pkl", 100)


def test_large_files_are_not_read(root: Path) -> None:
    """A file over the limit is refused by its size; one of exactly the limit is read."""
    with (root / "large.pkl").open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: reading it would never end
    with pytest.raises(ModelRejected) as caught:
        read_model(root, "large.pkl", 100)
    assert caught.value.code == "MODEL_SIZE_EXCEEDED"
    assert caught.value.context["found"] == 1 << 40
    assert read_model(root, "a.pkl", 7).data == b"content"
    with pytest.raises(ModelRejected):
        read_model(root, "a.pkl", 6)


def test_leaks_no_descriptors(root: Path) -> None:
    """Whatever the outcome, every descriptor is closed again."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("a.pkl", "sub/deep/b.pkl", "sub", "pipe.pkl", "link.pkl", "folder/secret.pkl", "no/a.pkl"):
        try:
            read_model(root, path, 100)
        except CadmlError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before
