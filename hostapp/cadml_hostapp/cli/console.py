"""What every subcommand shares: its options, how output and errors look, how the runtime is opened."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cadml_core.catalog.records import Part
    from cadml_core.runtime import Runtime
    from cadml_core.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_REFUSED = 1
UNITS = ("mm", "cm", "m", "in", "ft")
"""The values of ``UnitName``."""
DEMO_FOLDER = "demo"
"""Below the data folder: the samples of ``cadml demo`` and their catalogue."""
_SHOWN_MISSING = 10


class Output:
    """A rich console that is made when something is first printed: ``--help`` does without rich."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @functools.cached_property
    def console(self) -> Console:
        """The console."""
        from rich.console import Console

        return Console(stderr=self._stderr, soft_wrap=True, highlight=False)

    def print(self, renderable: Any, *, style: str | None = None) -> None:
        """Print text with rich's markup, or a table; what a terminal would obey is shown as an escape."""
        if isinstance(renderable, str):
            from cadml_core.printable import printable

            renderable = printable(renderable, lines=True)
        self.console.print(renderable, style=style)


out = Output()
"""Standard output: results."""
err = Output(stderr=True)
"""Standard error: progress, warnings and errors, so that a pipe gets results only."""


class Options(NamedTuple):
    """The options of ``cadml`` itself. Every subcommand finds them in its click context as ``obj``."""

    data_dir: str | None = None
    config: Path | None = None
    safe_mode: bool | None = None

    def settings(self, **arguments: Any) -> Settings:
        """Work out the settings; ``arguments`` are a subcommand's own options."""
        from cadml_core.settings import load_settings

        named = {"data_dir": self.data_dir, "safe_mode": self.safe_mode or None, **arguments}
        return load_settings(named, config=self.config)

    def runtime(
        self, *, version: str | None = None, create_catalogue: bool = True, **arguments: Any
    ) -> Runtime:
        """Open the runtime.

        Args:
            version: The feature version that an option names; the configured one where None.
            create_catalogue: As ``build_runtime`` takes it.
            arguments: Settings that a subcommand's own options give.

        Raises:
            NotFound: The feature version is not installed.
            CadmlError: As ``build_runtime``.
        """
        return _open(self.settings(feature_version=version, **arguments), version, create_catalogue)

    def stored(self, *, version: str | None = None) -> Runtime:
        """Open the runtime over what is stored, to look something up; makes no catalogue.

        Where there is none yet, but ``cadml demo`` has made one, that is taken, and said so.

        Raises:
            NotFound: The feature version is not installed.
            CadmlError: As ``build_runtime``.
        """
        settings = self.settings(feature_version=version)
        demo = settings.data_path / DEMO_FOLDER
        if settings.database_url or settings.catalogue_path.exists():
            return _open(settings, version, create_catalogue=False)
        of_demo = self.settings(feature_version=version, data_dir=str(demo))
        if not of_demo.catalogue_path.exists():
            return _open(settings, version, create_catalogue=False)
        err.print(
            f"[dim]There is no catalogue of your own yet; this is the demo's, in {escape(str(demo))}[/]"
        )
        return _open(of_demo, version, create_catalogue=False)


def _open(settings: Settings, version: str | None, create_catalogue: bool) -> Runtime:
    from cadml_core.plugins.loader import load_plugins
    from cadml_core.runtime import build_runtime

    plugins = load_plugins(settings)
    if version is not None:  # before ``build_runtime``, which takes it for the choice of the settings
        plugins.registry.features.named(version)
    return build_runtime(settings, plugins=plugins, create_catalogue=create_catalogue)


def json_option(command: Command) -> Command:
    """Add ``--json``: one JSON document on standard output, errors included."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


def unit_option(command: Command) -> Command:
    """Add ``--unit``."""
    return click.option("--unit", type=click.Choice(UNITS), help="Unit of files that state none.")(command)


def retry_option(command: Command) -> Command:
    """Add ``--retry``."""
    return click.option("--retry", is_flag=True, help="Read again what could not be read before.")(command)


def reports_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Print a ``CadmlError`` as a sentence, or with ``--json`` in the error shape, and exit 1."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            from cadml_core.errors import CadmlError

            if not isinstance(error, CadmlError):
                raise
            if kwargs.get("as_json"):
                print_json(error.problem())
            else:
                err.print(f"[bold red]{error.code}[/]: {escape(error.message)}")
            sys.exit(EXIT_REFUSED)

    return run


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    import msgspec

    from cadml_core.printable import printable_json

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(printable_json(text) + "\n")


def escape(text: str) -> str:
    """Return text on one line, with rich's markup and whatever a terminal would obey escaped."""
    from rich import markup

    from cadml_core.printable import printable

    return markup.escape(printable(text))


def table(*headers: str) -> Table:
    """Return an empty table in the style of all our tables."""
    from rich.table import Table

    from cadml_core.printable import printable

    class Shown(Table):
        """Shows what a terminal would obey as escapes."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(
                *(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options
            )

    return Shown(*headers, box=None, header_style="bold")


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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = err.console
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def update(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield update
