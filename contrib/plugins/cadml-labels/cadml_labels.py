"""Counts the labels of the catalogue: one function, offered as a command and as an address of the server."""

from collections import Counter

import click
from litestar import get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from cadml_core import hookimpl, printable
from cadml_core.runtime import Runtime, build_runtime


def count_labels(runtime: Runtime) -> dict[str, int]:
    """Return how many parts have each label, the most frequent first; parts without one are left out."""
    return dict(Counter(part.label for part in runtime.catalog.parts() if part.label).most_common())


@click.command()
@click.pass_obj
def labels(options) -> None:
    """Count the labels of the catalogue."""
    with build_runtime(options.settings(), create_catalogue=False) as runtime:
        for label, count in count_labels(runtime).items():
            click.echo(f"{count:8,}  {printable(label)}")


@get("/counts", sync_to_thread=True)
def counts(runtime: NamedDependency[SkipValidation[Runtime]]) -> dict[str, int]:
    """Count the labels of the catalogue."""
    return count_labels(runtime)


class LabelRoutes:
    """The addresses, below ``/api/v1/plugins/labels``."""

    name = "labels"
    handlers = (counts,)


@hookimpl
def cadml_commands() -> list[click.Command]:
    """Register the command."""
    return [labels]


@hookimpl
def cadml_routes() -> list[LabelRoutes]:
    """Register the addresses."""
    return [LabelRoutes()]
