"""Run the application: one process or several on one socket, with logs, keys and shared metrics."""

from __future__ import annotations

import functools
import gc
import socket
from typing import Any

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from cadml_core.errors import CadmlError, InvalidSetting
from cadml_core.isolation.sandbox.privileges import hide
from cadml_core.settings import Settings
from cadml_hostapp import logs
from cadml_hostapp.app import create_app
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.metrics_folder import shared_metrics

_GRACE_SECONDS = 10
_HUNG_SECONDS = 60
"""A server process that does not answer its supervisor for this long is replaced; long, for busy machines."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also answers malformed HTTP in our error shape."""

    def shutdown(self) -> None:
        """Finish what was begun when the server stops, but for the loading of a model, which may hang."""
        super().shutdown()
        app = self.config.loaded_app
        while not isinstance(app, Litestar):  # uvicorn's own middleware
            app = app.app
        app.state.services.stop_loading()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed."""
        error = CadmlError(
            f"not a valid HTTP request: {msg}", code="INPUT_VALIDATION_FAILED", stage="request"
        )
        body = http_errors.encode(error.problem())
        head = (
            "HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def serving_app(settings: Settings) -> Litestar:
    """Return the application of a server process, which others of the same user cannot look into."""
    hide()
    logs.configure(settings.log_format, settings.log_level)
    return frozen(create_app(settings))


def frozen(app: Litestar) -> Litestar:
    """Exempt everything made at the start from garbage collection, which would visit it each time in vain."""
    gc.collect()
    gc.freeze()
    return app


def bind(settings: Settings) -> socket.socket:
    """Listen on the address, before anything else is started.

    Raises:
        InvalidSetting: It is in use, not of this machine, or not an address.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidSetting(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; choose another"
            " with --host and --port",
            setting="CADML_PORT",
        ) from error


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal comes; then finish what was accepted.

    Args:
        settings: With keys.
        listener: From ``bind``.
    """
    hide()
    with shared_metrics(settings.server_workers):
        if settings.server_workers == 1:
            uvicorn.Server(_config(serving_app(settings), settings)).run(sockets=[listener])
        else:
            # The settings, keys included, go to the server processes through a pipe, not the environment.
            config = _config(functools.partial(serving_app, settings), settings, factory=True)
            listener.set_inheritable(True)
            Multiprocess(config, sockets=[listener]).run()


def _config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        workers=settings.server_workers,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_worker_healthcheck=_HUNG_SECONDS,
        timeout_graceful_shutdown=int(settings.parse_timeout_seconds) + _GRACE_SECONDS,
        **options,
    )
