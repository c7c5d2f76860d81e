"""The temporary folders of reader pools: held while in use, swept when nobody holds them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cadml_core.isolation.scratch import PREFIX, Scratch, sweep


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_in_use_is_left_alone(temporary: Path) -> None:
    """Neither another pool nor a sweep touches it."""
    one, two = Scratch(), Scratch()
    (one.path / "file").touch()
    sweep(temporary)
    assert (one.path / "file").exists()
    assert two.path.exists()
    for scratch in (one, two):
        scratch.remove()
        scratch.remove()
    assert not any(temporary.iterdir())


def test_what_a_killed_process_left_is_swept_by_the_next(temporary: Path) -> None:
    """A folder that nobody holds goes, with everything in it."""
    left = temporary / f"{PREFIX}left"
    (left / "123").mkdir(parents=True)
    (left / "123" / "part.tmp").write_bytes(b"x")
    scratch = Scratch()
    assert not left.exists()
    scratch.remove()


def test_only_folders_of_that_name_are_swept(temporary: Path) -> None:
    """Other people's files, and links under our name, are none of our business."""
    (temporary / "other").mkdir()
    (temporary / "target").mkdir()
    link = temporary / f"{PREFIX}link"
    link.symlink_to(temporary / "target")
    (temporary / f"{PREFIX}file").touch()
    sweep(temporary)
    assert sorted(path.name for path in temporary.iterdir()) == [
        f"{PREFIX}file",
        f"{PREFIX}link",
        "other",
        "target",
    ]
