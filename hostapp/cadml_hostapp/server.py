"""Run the application: one process or several on one socket, with logs, keys and shared metrics."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from functools import partial
from typing import Any, cast

import uvicorn
from litestar import Litestar
from uvicorn.supervisors import Multiprocess

from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidSetting
from cadml_core.feature_cache.choice import Limits
from cadml_core.feature_cache.tuning import SharedTuning
from cadml_core.isolation.sandbox.privileges import hide
from cadml_core.settings import Settings
from cadml_hostapp import logs
from cadml_hostapp.app import create_app
from cadml_hostapp.http.connection_limits import ConnectionLimits, ConnectionTable
from cadml_hostapp.http.connection_protocol import LimitedProtocol
from cadml_hostapp.metrics_folder import shared_metrics

_GRACE_SECONDS = 10
_SUPERVISOR_SECONDS = 1.0
_HUNG_SECONDS = 60
"""A server process that does not answer its supervisor for this long is replaced; long, for busy machines."""


def serving_app(settings: Settings) -> Litestar:
    """Return the application of a server process, which others of the same user cannot look into."""
    hide()
    if settings.server_workers > 1:
        threading.Thread(target=_end_with, args=(os.getppid(),), name="cadml-supervisor", daemon=True).start()
    logs.configure(settings.log_format, settings.log_level)
    return frozen(create_app(settings))


def _end_with(supervisor: int) -> None:
    """Stop this server process, in order, once its supervisor is gone: nobody could stop it any more."""
    while os.getppid() == supervisor:
        time.sleep(_SUPERVISOR_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


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
    """Serve on a socket of ``bind`` until a signal comes; then finish what was accepted."""
    hide()
    with shared_metrics(settings.server_workers):
        if settings.server_workers == 1:
            uvicorn.Server(_config(serving_app(settings), settings)).run(sockets=[listener])
        else:
            _forget_snapshot(settings)
            # The settings, keys included, go to the server processes through a pipe, not the environment.
            config = _config(partial(serving_app, settings), settings, factory=True)
            listener.set_inheritable(True)
            Multiprocess(config, sockets=[listener]).run()


def _forget_snapshot(settings: Settings) -> None:
    """End the window for undoing a cache setting: once for all server processes, not when one is replaced."""
    with Catalog.open(settings.effective_database_url) as catalog:
        limits = Limits(settings.feature_cache_capacity, settings.feature_cache_ttl_seconds)
        window = settings.cache_rollback_window_seconds
        SharedTuning(OperatorState(catalog), limits, window).forget_snapshot()


def _config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=cast(Any, partial(LimitedProtocol, table=ConnectionTable(ConnectionLimits.of(settings)))),
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
