"""Who may do what: API keys and the admin token, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from cadml_core.errors import CadmlError, InvalidSetting
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

KEY_HEADER, ADMIN_HEADER = "X-API-Key", "X-Admin-Token"
PUBLIC = "public"
"""Key in the ``opt`` of a route: it needs no API key, although it is under the API's path."""
ROTATE_AFTER = timedelta(days=7)


class Gatekeeper:
    """Checks API keys and the admin token, in a time that does not depend on how much of a key is right."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take the keys of the settings.

        Raises:
            InvalidSetting: There is no API key.
        """
        if not settings.api_keys:
            raise InvalidSetting(
                "the server has no API key; set API_KEYS (and ADMIN_TOKEN), or start it with `cadml serve`,"
                " which makes them",
                setting="API_KEYS",
            )
        self._keys = [_digest(key) for key in settings.api_keys]
        self._admin = _digest(settings.admin_token) if settings.admin_token else None
        self._now = now
        self._admin_since = self._remember(settings.data_path / "admin-token-seen.json")

    def check_key(self, presented: bytes | None) -> str:
        """Return a short name of the key, for logs and rate limits.

        Raises:
            CadmlError: AUTH_FAILED where the key is missing or wrong.
        """
        if presented is None:
            raise CadmlError(f"the header {KEY_HEADER} is missing", code="AUTH_FAILED")
        found, admitted = hashlib.sha256(presented).digest(), False
        for key in self._keys:  # all of them, so that the time does not tell which one matched
            admitted |= hmac.compare_digest(found, key)
        if not admitted:
            raise CadmlError(f"the key in {KEY_HEADER} is wrong", code="AUTH_FAILED")
        return found.hex()[:8]

    def check_admin(self, presented: bytes | None) -> None:
        """Require the admin token.

        Raises:
            CadmlError: PERMISSION_DENIED where the token is missing or wrong, or none is configured.
        """
        if self._admin is None:
            raise CadmlError(
                "this operation needs the admin token, and the server has none: set ADMIN_TOKEN",
                code="PERMISSION_DENIED",
            )
        if presented is None:
            raise CadmlError(f"this operation also needs the header {ADMIN_HEADER}", code="PERMISSION_DENIED")
        if not hmac.compare_digest(hashlib.sha256(presented).digest(), self._admin):
            raise CadmlError(f"the token in {ADMIN_HEADER} is wrong", code="PERMISSION_DENIED")

    @property
    def rotation_hint(self) -> str | None:
        """Advice to change the admin token, None while it has been in use for less than 7 days."""
        if self._admin_since is None or self._now() - self._admin_since < ROTATE_AFTER:
            return None
        days = (self._now() - self._admin_since).days
        return (
            f"the admin token has been in use for {days} days; change ADMIN_TOKEN or run `cadml keys rotate`"
        )

    def _remember(self, path: Path) -> datetime | None:
        """Return when the admin token was first used, which the data folder keeps under a salted hash."""
        if self._admin is None:
            return None
        try:
            known: dict[str, str] = json.loads(path.read_bytes())
            salt = bytes.fromhex(known["salt"])
            if hmac.compare_digest(known["token"], hmac.new(salt, self._admin, "sha256").hexdigest()):
                return datetime.fromisoformat(known["since"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # missing or unreadable: start again from now
        since, salt = self._now(), secrets.token_bytes(16)
        note = {
            "salt": salt.hex(),
            "token": hmac.new(salt, self._admin, "sha256").hexdigest(),
            "since": since.isoformat(),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(note, file)
        except OSError as error:
            log.warning("cannot record when the admin token was first used: %s", error.strerror)
        return since


class KeyCheck:
    """ASGI middleware: every route under the API's path needs a key, those of plugins included."""

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper, prefix: str) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["path"].startswith(self._prefix) and not scope["route_handler"].opt.get(PUBLIC):
            scope["state"]["api_key"] = self._gatekeeper.check_key(_header(scope, b"x-api-key"))
        await self._app(scope, receive, send)


async def admin_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard of operations that need the admin token too."""
    gatekeeper: Gatekeeper = connection.app.state.gatekeeper
    gatekeeper.check_admin(_header(connection.scope, b"x-admin-token"))


def for_admin(request: ASGIConnection[Any, Any, Any, Any], kind: type[T], answer: msgspec.Struct) -> T:
    """Return an answer to an admin operation, with the hint to change an old token."""
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    fields = msgspec.structs.asdict(answer)
    return kind(**fields, next_rotation_hint=gatekeeper.rotation_hint)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _header(scope: Any, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
