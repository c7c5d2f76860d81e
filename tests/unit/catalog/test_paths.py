"""Paths become text that every database stores, and come back byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.catalog.paths import path_to_text, text_to_path

NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..")
)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_path_comes_back(names: list[bytes]) -> None:
    """Whatever bytes a name has, the text is valid UTF-8 and gives back the same path."""
    path = os.fsdecode(b"/" + b"/".join(names))
    text = path_to_text(path)
    text.encode("utf-8")
    assert os.fspath(text_to_path(text)) == path


def test_ordinary_paths_stay_as_they_are() -> None:
    """People can read and search them; percent signs and colons mean nothing."""
    for path in ("/parts/größer 50%FF.stp", "/file:/x"):
        assert path_to_text(path) == path


def test_undecodable_bytes_become_a_uri() -> None:
    """Only such a path is written as a URI, so two different paths never share a text."""
    assert path_to_text(os.fsdecode(b"/parts/\xff%FF.stp")) == "file:///parts/%FF%25FF.stp"


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file has one text wherever the program is started."""
    monkeypatch.chdir(tmp_path)
    assert path_to_text("a/../b.stp") == str(tmp_path / "b.stp")
