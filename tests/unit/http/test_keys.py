"""Keys: made once, kept for their owner, compared whole, and old ones noticed."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadml_core.errors import CadmlError, InvalidSetting
from cadml_core.settings import Settings
from cadml_hostapp.app import create_app
from cadml_hostapp.http.auth import Gatekeeper
from cadml_hostapp.keys import KeyFile, with_keys


def settings(folder: Path, **named: object) -> Settings:
    """Settings with a data folder."""
    return Settings(data_dir=str(folder), **named)  # type: ignore[arg-type]


def test_keys_are_made_once_and_only_for_their_owner(tmp_path: Path) -> None:
    """The second call returns those of the first; nobody else may read the file."""
    file = KeyFile(tmp_path / "deep" / "data")
    first = file.create()
    assert file.create() == file.load() == first
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert len(first.api_key) >= 40
    assert first.api_key != first.admin_token
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


def test_processes_that_start_together_get_the_same_keys(tmp_path: Path) -> None:
    """The first of them decides for all."""
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: KeyFile(tmp_path).create(), range(32)))
    assert len({found.api_key for found in keys}) == 1


def test_rotating_replaces_both(tmp_path: Path) -> None:
    """Old keys are gone, the new ones are stored."""
    file = KeyFile(tmp_path)
    old = file.create()
    new = file.create(replace=True)
    assert {old.api_key, old.admin_token}.isdisjoint({new.api_key, new.admin_token})
    assert file.load() == new


def test_a_damaged_key_file_is_not_overwritten(tmp_path: Path) -> None:
    """It may be somebody's last copy of a key: the start is refused instead."""
    file = KeyFile(tmp_path)
    file.path.write_text("{broken")
    with pytest.raises(InvalidSetting, match=r"keys\.json"):
        file.create()
    assert file.path.read_text() == "{broken"


def test_configured_keys_win(tmp_path: Path) -> None:
    """Where both are configured, nothing is made; where one is, only the other is."""
    configured = settings(tmp_path, api_keys=("k",), admin_token="a")
    assert with_keys(configured) is configured
    assert not KeyFile(tmp_path).path.exists()
    half = with_keys(settings(tmp_path, api_keys=("k",)))
    assert half.api_keys == ("k",)
    assert half.admin_token == KeyFile(tmp_path).create().admin_token


def test_without_keys_there_is_no_application(tmp_path: Path) -> None:
    """The refusal says what to set, and nothing has been opened or written."""
    with pytest.raises(InvalidSetting, match="API_KEYS"):
        create_app(settings(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_only_the_whole_key_is_admitted(tmp_path: Path) -> None:
    """Not a beginning, not a longer one, not nothing, not another alphabet; each configured key is."""
    keeper = Gatekeeper(settings(tmp_path, api_keys=("first-key", "zweiter-schlüssel")))
    names = {keeper.check_key(key.encode()) for key in ("first-key", "zweiter-schlüssel")}
    assert len(names) == 2
    for wrong in (None, b"", b"first-ke", b"first-keyy", b"FIRST-KEY", b"\xff\xfe", b"first-key\0"):
        with pytest.raises(CadmlError) as refused:
            keeper.check_key(wrong)
        assert refused.value.code == "AUTH_FAILED"


def test_a_server_without_an_admin_token_has_no_admin(tmp_path: Path) -> None:
    """No header gets through, an empty one least of all."""
    keeper = Gatekeeper(settings(tmp_path, api_keys=("k",)))
    for presented in (None, b"", b"anything"):
        with pytest.raises(CadmlError) as refused:
            keeper.check_admin(presented)
        assert refused.value.code == "PERMISSION_DENIED"


def test_an_old_token_is_noticed(tmp_path: Path) -> None:
    """After seven days of use, over restarts, the admin is told; a new token begins at day 0."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    old, new = (settings(tmp_path, api_keys=("k",), admin_token=token) for token in ("old", "new"))
    assert Gatekeeper(old, lambda: start).rotation_hint is None
    assert Gatekeeper(old, lambda: start + timedelta(days=6, hours=23)).rotation_hint is None
    hint = Gatekeeper(old, lambda: start + timedelta(days=9)).rotation_hint
    assert hint is not None
    assert "9 days" in hint
    assert Gatekeeper(new, lambda: start + timedelta(days=9)).rotation_hint is None
    note = tmp_path / "admin-token-seen.json"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert "old" not in note.read_text()
    assert "new" not in note.read_text()


def test_a_damaged_note_is_replaced(tmp_path: Path) -> None:
    """The age of a token is a courtesy; it never keeps the server from starting."""
    chosen = settings(tmp_path, api_keys=("k",), admin_token="a")
    for content in ("", "{", "[]", '{"salt": 1}', '{"salt": "zz", "token": "", "since": ""}'):
        (tmp_path / "admin-token-seen.json").write_text(content)
        assert Gatekeeper(chosen).rotation_hint is None
