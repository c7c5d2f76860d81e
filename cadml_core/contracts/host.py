"""What plugins add to the host: routes of the server and subcommands of ``cadml``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HostRoutes(Protocol):
    """Adds addresses to the server, below ``/api/v1/plugins/<name>``; they need an API key like all."""

    name: str
    handlers: Sequence[Any]
    """Litestar route handlers, controllers or routers. They may ask for the dependency ``runtime``."""


@runtime_checkable
class HostCommand(Protocol):
    """Adds a subcommand to ``cadml``: any click command. Its context's ``obj`` has ``settings()``."""

    name: str

    def main(self, *args: Any, **extra: Any) -> Any:
        """Parse arguments and run."""
