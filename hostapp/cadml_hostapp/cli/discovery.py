"""Find out from metadata files whether third-party plugins are installed.

``importlib.metadata`` does the same, but importing it takes half as long as all of ``cadml --help``.
"""

from __future__ import annotations

import os
import re
import sys

_METADATA = re.compile(r"\.(dist|egg)-info$")
_OWN = re.compile(r"cadml(-\d.*)?\.(dist|egg)-info$", re.IGNORECASE)
_GROUP = "[cadml.v"
"""How a section of ``entry_points.txt`` begins that registers plugins, of whichever version."""


def third_party_plugins() -> bool:
    """Return whether any other distribution registers plugins."""
    return any(_registers_plugins(folder) for folder in dict.fromkeys(sys.path))


def _registers_plugins(folder: str) -> bool:
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208
    except NotADirectoryError:
        return True  # an archive: let the plugin loader look into it
    except OSError:
        return False
    found = (name for name in names if _METADATA.search(name) and not _OWN.match(name))
    return any(_GROUP in _entry_points(os.path.join(folder, name)) for name in found)  # noqa: PTH118


def _entry_points(metadata: str) -> str:
    try:
        with open(f"{metadata}/entry_points.txt", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:  # most distributions have none
        return ""
