"""What a part's label is, for the commands that learn from labels or measure by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cadml_core.catalog.records import Part

Command = TypeVar("Command", bound=Callable[..., Any])


def label_option(command: Command) -> Command:
    """Add ``--label``, which arrives as ``source``."""
    return click.option(
        "--label",
        "source",
        type=click.Choice(["stored", "parent"]),
        default="stored",
        help="What a part's label is: the one in the catalogue, or the name of its file's folder.",
    )(command)


def label_of(part: Part, source: str) -> str | None:
    """Return a part's label by the source that ``--label`` chose; None or empty where it has none."""
    from cadml_core.catalog.paths import text_to_path

    if source == "stored":
        return part.label
    return text_to_path(part.path).parent.name if part.path else None
