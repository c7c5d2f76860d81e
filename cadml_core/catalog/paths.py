"""Write file paths as text that every database stores, and read them back to the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

_URI = "file://"


def path_to_text(path: Path | str) -> str:
    """Return an absolute path as text.

    A name that is not valid UTF-8 (Python holds such bytes as lone surrogates, which no database
    takes) becomes a ``file:`` URI with percent escapes, RFC 8089. No absolute path looks like that,
    so both forms can be told apart and ``text_to_path`` gives back the same bytes.
    """
    text = os.path.abspath(path)  # noqa: PTH100 - Path.absolute() keeps ``..``
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _URI + quote_from_bytes(os.fsencode(text))
    return text


def text_to_path(text: str) -> Path:
    """Return the path that ``path_to_text`` wrote."""
    if text.startswith(_URI):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(_URI))))
    return Path(text)
