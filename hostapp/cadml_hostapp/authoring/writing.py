"""Write the first version of a plugin: a distribution that installs, works, and passes its own tests.

Each folder of ``templates`` is one kind of plugin; ``every`` holds what all kinds have. In the names and
contents of the files, ``$module`` and the like stand for what the author chose (see ``string.Template``).
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from cadml_core.errors import InvalidSetting

TEMPLATES = Path(__file__).parent / "templates"
EVERY = "every"
_SUFFIX = ".tmpl"
"""Ends the name of each template, so that no tool takes one for Python."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "cadml-"


def kinds() -> tuple[str, ...]:
    """Return the kinds of plugin that there are templates for, in alphabetical order."""
    return tuple(sorted(folder.name for folder in TEMPLATES.iterdir() if folder.name != EVERY))


def write_plugin(name: str, kind: str, into: Path) -> list[Path]:
    """Write the distribution ``cadml-NAME`` to the folder ``into`` and return its files, relative to it.

    Args:
        name: Lower-case words joined by hyphens, with or without the prefix ``cadml-``.
        kind: One of ``kinds()``.
        into: A folder that does not exist yet, or is empty.

    Raises:
        InvalidSetting: The name cannot be that of a plugin, or the folder is in use.
    """
    values = _values(name)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InvalidSetting(
            f"{into} exists and is not empty; nothing was written. Name another folder with --into",
            stage="plugins",
        )
    written = []
    for folder in (EVERY, kind):
        for template in sorted((TEMPLATES / folder).rglob(f"*{_SUFFIX}")):
            named = template.relative_to(TEMPLATES / folder).as_posix().removesuffix(_SUFFIX)
            path = Path(Template(named).substitute(values))
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            (into / path).write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _values(name: str) -> dict[str, str]:
    short = name.removeprefix(_PREFIX)
    if not _NAME.fullmatch(short):
        raise InvalidSetting(
            f"{name!r} cannot name a plugin: use lower-case letters and digits, with single hyphens between"
            " words, as in 'sheet-metal'",
            stage="plugins",
        )
    word = short.replace("-", "_")
    return {
        "name": short,
        "distribution": f"{_PREFIX}{short}",
        "module": f"cadml_{word}",
        "word": word,
        "class_name": "".join(part.capitalize() for part in short.split("-")),
    }
