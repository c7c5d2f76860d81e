"""What connections may take of the server before a request reaches the application, and which are open."""

from __future__ import annotations

import asyncio
import math
import resource
from collections import Counter
from typing import Any, Protocol

import msgspec

from cadml_core.errors import CadmlError
from cadml_core.settings import Settings

_TICK = 0.25
"""How often overdue connections are looked for, in seconds."""
_RESERVED_FILES = 128
"""Open files that connections leave to everything else."""


class ConnectionLimits(msgspec.Struct, frozen=True):
    """The limits that the settings give; sizes in bytes, times in seconds."""

    line: int
    block: int
    headers: int
    header_seconds: float
    body_seconds: float
    per_client: int
    total: int
    requests: int

    @classmethod
    def of(cls, settings: Settings) -> ConnectionLimits:
        """Return those of the settings; never more connections than the process may open files for.

        Each may upload, which takes a second one.
        """
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = math.inf if files == resource.RLIM_INFINITY else max(16, (files - _RESERVED_FILES) // 2)
        return cls(
            line=settings.header_line_max_bytes,
            block=settings.headers_max_bytes,
            headers=settings.headers_max_count,
            header_seconds=settings.header_timeout_seconds,
            body_seconds=settings.body_timeout_seconds,
            per_client=settings.connections_per_client_max,
            total=int(min(settings.connections_max, room)),
            requests=settings.requests_per_connection_max,
        )


class Connection(Protocol):
    """What the table needs of a connection."""

    loop: asyncio.AbstractEventLoop
    deadline: float
    """When it is overdue, in the loop's time."""

    def overdue(self) -> None:
        """End the connection, which took longer than it may."""


class ConnectionTable:
    """The open connections of one server process. Used on one event loop.

    Sent to another process, it arrives empty.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.lingering = 0
        self._open: set[Connection] = set()
        self._clients: Counter[str] = Counter()
        self._ticking = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (ConnectionTable, (self.limits,))

    def admit(self, connection: Connection, client: str | None) -> CadmlError | None:
        """Take a new connection, or return why not."""
        limit, allowed = "CONNECTIONS_MAX", self.limits.total
        crowded = len(self._open) >= allowed
        if not crowded and client is not None:
            limit, allowed = "CONNECTIONS_PER_CLIENT_MAX", self.limits.per_client
            crowded = self._clients[client] >= allowed
        if crowded:
            return CadmlError(
                f"more than {allowed} connections at once are not allowed ({limit}); close some",
                code="TOO_MANY_CONNECTIONS",
                limit=limit,
                allowed=allowed,
            )
        self._open.add(connection)
        if client is not None:
            self._clients[client] += 1
        if not self._ticking:
            self._ticking = True
            connection.loop.call_later(_TICK, self._tick, connection.loop)
        return None

    def forget(self, connection: Connection, client: str | None) -> None:
        """Release the place of a connection that has ended; others are passed over."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if client is not None:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections that are overdue; go on as long as there are any."""
        now = loop.time()
        for connection in [found for found in self._open if found.deadline < now]:
            connection.overdue()
        self._ticking = bool(self._open)
        if self._ticking:
            loop.call_later(_TICK, self._tick, loop)
