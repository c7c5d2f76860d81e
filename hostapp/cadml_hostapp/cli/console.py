"""What every subcommand shares: where output goes, how errors look, how the runtime is opened."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import rich_click as click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cadml_core.catalog.records import Part
from cadml_core.errors import CadmlError
from cadml_core.settings import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_REFUSED = 1
_SHOWN_MISSING = 10

out = Console(soft_wrap=True, highlight=False)
"""Results go to standard output, ..."""
err = Console(stderr=True, soft_wrap=True, highlight=False)
"""... progress, warnings and errors to standard error, so that a pipe gets results only."""


class Options(msgspec.Struct):
    """The options of ``cadml`` itself, which every subcommand sees."""

    data_dir: str | None = None
    config: Path | None = None
    safe_mode: bool | None = None

    def settings(self, **arguments: Any) -> Settings:
        """Work out the settings; ``arguments`` are a subcommand's own options."""
        named = {"data_dir": self.data_dir, "safe_mode": self.safe_mode or None, **arguments}
        return load_settings(named, config=self.config)


def json_option(command: Command) -> Command:
    """Add ``--json``: one JSON document on standard output, errors included."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


def reports_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a ``CadmlError`` into a plain message, or the error shape with ``--json``; exit 1."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except CadmlError as error:
            if kwargs.get("as_json"):
                print_json(error.problem())
            else:
                err.print(f"[bold red]{error.code}[/]: {escape(error.message)}")
            sys.exit(EXIT_REFUSED)

    return run


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(text + "\n")


def show_missing(missing: Sequence[tuple[Part, str]], version: str) -> None:
    """Name the parts that have no vector of a version, and why."""
    if missing:
        err.print(f"[yellow]{len(missing):,} parts have no {version} vector and are left out:[/]")
    for part, reason in missing[:_SHOWN_MISSING]:
        err.print(f"  {escape(part.id)}: {escape(reason)}")
    if len(missing) > _SHOWN_MISSING:
        err.print(f"  ... and {len(missing) - _SHOWN_MISSING:,} more")


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on a terminal, nothing elsewhere. Yields ``update(done, total)``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def update(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield update
