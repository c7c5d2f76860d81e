"""The temporary folders of fork servers: held while in use, swept when no process holds them."""

from __future__ import annotations

import os
from pathlib import Path

from cadml_core.isolation.scratch import PREFIX, hold, sweep


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """Neither another fork server nor a sweep touches it, until it is given up."""
    one, two = tmp_path / f"{PREFIX}1", tmp_path / f"{PREFIX}2"
    locks = [hold(one), hold(two)]
    (one / "file").touch()
    sweep(tmp_path)
    assert (one / "file").exists()
    assert two.exists()
    for lock in locks:
        os.close(lock)
    sweep(tmp_path)
    assert not any(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    """A folder that no process holds goes, with everything in it."""
    left = tmp_path / f"{PREFIX}left"
    (left / "123").mkdir(parents=True)
    (left / "123" / "part.tmp").write_bytes(b"x")
    lock = hold(tmp_path / f"{PREFIX}new")
    assert not left.exists()
    os.close(lock)


def test_a_folder_that_was_swept_before_it_was_held_is_made_again(tmp_path: Path) -> None:
    """Between making a folder and holding it, another process may take it for a forgotten one."""
    folder = tmp_path / f"{PREFIX}1"
    folder.mkdir()
    sweep(tmp_path)
    assert not folder.exists()
    lock = hold(folder)
    assert folder.is_dir()
    os.close(lock)


def test_only_folders_of_that_name_are_swept(tmp_path: Path) -> None:
    """Files of others, and links under our name, are left alone."""
    (tmp_path / "other").mkdir()
    (tmp_path / "target").mkdir()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(tmp_path / "target")
    (tmp_path / f"{PREFIX}file").touch()
    sweep(tmp_path)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [f"{PREFIX}file", f"{PREFIX}link", "other", "target"]
