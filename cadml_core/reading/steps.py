"""Which plugin a reader process was working for when it was heard of last.

A process that is killed cannot say what took it so long. So it prints a line before each call of a feature
version or a picture maker, and what workers print is kept until their next request.
"""

from __future__ import annotations

import os
import re

_MARK = "cadml-step: "
_STEP = re.compile(rf"^{_MARK}(extract of the feature version [\w.-]+|drawing)$", re.MULTILINE)
_STANDARD_OUTPUT = 1
DRAW_STEP = "drawing"
"""What drawing a picture or model is called."""


def extract_step(version: str) -> str:
    """Return what the extraction of a feature version is called."""
    return f"extract of the feature version {version}"


def note_step(step: str) -> None:
    """Print what is called next."""
    os.write(_STANDARD_OUTPUT, f"\n{_MARK}{step}\n".encode())


def last_step(output: str) -> str | None:
    """Return what a process was doing, where it is another plugin than the reader of its file.

    Args:
        output: The end of what it has printed. The plugin may print as well; this decides over one word of a
            message, and nothing else.
    """
    found = _STEP.findall(output)
    return found[-1] if found else None
