"""Structured logs: one line per event, for people or for machines, each with its request's id."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from cadml_core.printable import printable

_encoder = msgspec.json.Encoder(enc_hook=str)


def configure(log_format: str, level: str) -> None:
    """Send every log of this process to standard error.

    Args:
        log_format: ``console``, ``json``, or ``auto``: console on a terminal, JSON elsewhere.
        level: ``debug``, ``info``, ``warning`` or ``error``.
    """
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Any] = [
        structlog.processors.format_exc_info,
        _shown,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer(serializer=_json),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "uvicorn.error", "asyncio", "alembic", "faiss"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def _shown(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show whatever a terminal would obey as escapes; a traceback alone has lines of its own."""
    for name, value in event.items():
        event[name] = _text(value, lines=name == "exception")
    return event


def _text(value: Any, *, lines: bool = False) -> Any:
    if isinstance(value, dict):
        return {printable(str(key)): _text(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_text(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(str(value), lines=lines)


def _json(value: Any, **_: Any) -> str:
    return _encoder.encode(value).decode()
