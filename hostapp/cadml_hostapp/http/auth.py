"""Who may do what: API keys and the admin token, compared in constant time."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from cadml_core.errors import CadmlError, InvalidSetting
from cadml_core.private_files import private_folder
from cadml_core.settings import Settings
from cadml_hostapp.http.rate_limit import RateLimit, limited

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

KEY_HEADER, ADMIN_HEADER = "X-API-Key", "X-Admin-Token"
PUBLIC = "public"
"""Key in the ``opt`` of a route: it needs no API key, although it is under the API's path."""
ROTATE_AFTER = timedelta(days=7)
_IPV6_NETWORK = 64
"""Bits of an IPv6 address that name one client: its provider gives it all addresses below."""
_FREE_GUESSES = 20
"""Wrong admin tokens of one client before it has to wait: scripts with an old token are no attack."""
_LONGEST_WAIT = 300.0
_MOST_CLIENTS = 4096


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
        self._backoff = Backoff()
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

    def check_admin(self, presented: bytes | None, client: str = "") -> None:
        """Require the admin token.

        Args:
            presented: What the client sent.
            client: Who it is. After many wrong tokens it must wait, longer after each.

        Raises:
            CadmlError: PERMISSION_DENIED where the token is missing or wrong, or none is configured;
                RATE_LIMITED while the client must wait, whatever the token.
        """
        if self._admin is None:
            raise CadmlError(
                "this operation needs the admin token, and the server has none: set ADMIN_TOKEN",
                code="PERMISSION_DENIED",
            )
        if presented is None:
            raise CadmlError(f"this operation also needs the header {ADMIN_HEADER}", code="PERMISSION_DENIED")
        self._backoff.require(client)
        if not hmac.compare_digest(hashlib.sha256(presented).digest(), self._admin):
            self._backoff.failed(client)
            raise CadmlError(f"the token in {ADMIN_HEADER} is wrong", code="PERMISSION_DENIED")
        self._backoff.succeeded(client)

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
            private_folder(path.parent)
            descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(note, file)
        except OSError as error:
            log.warning("cannot record when the admin token was first used: %s", error.strerror)
        return since


class Backoff:
    """Makes clients wait who send wrong admin tokens: 1 s after the 20th, and twice as long after each more.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}
        """Client -> wrong tokens since the last right one, and until when it waits."""

    def require(self, client: str) -> None:
        """Pass a client that need not wait.

        Raises:
            CadmlError: RATE_LIMITED, with the seconds to wait.
        """
        wait = self._wrong.get(client, (0, 0.0))[1] - self._clock()
        if wait > 0:
            raise limited(f"too many wrong tokens in {ADMIN_HEADER} came from here", wait)

    def failed(self, client: str) -> None:
        """Note a wrong token."""
        count = self._wrong.pop(client, (0, 0.0))[0] + 1
        over = count - _FREE_GUESSES
        wait = min(_LONGEST_WAIT, 2.0 ** min(over, 30)) if over >= 0 else 0.0
        self._wrong[client] = (count, self._clock() + wait)
        if len(self._wrong) > _MOST_CLIENTS:  # the one whose last guess is longest ago
            del self._wrong[next(iter(self._wrong))]

    def succeeded(self, client: str) -> None:
        """Note a right token."""
        self._wrong.pop(client, None)


class KeyCheck:
    """ASGI middleware: every route under the API's path needs a key, those of plugins included.

    Args:
        app: What answers.
        gatekeeper: Checks the key.
        prefix: The API's path.
        limit: Counts wrong keys; None: there is no limit.
    """

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper, prefix: str, limit: RateLimit | None) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._prefix = prefix
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["path"].startswith(self._prefix) and not scope["route_handler"].opt.get(PUBLIC):
            try:
                scope["state"]["api_key"] = self._gatekeeper.check_key(_header(scope, b"x-api-key"))
            except CadmlError:
                if self._limit is not None:
                    self._limit.count_refused(client_of(scope))
                raise
        await self._app(scope, receive, send)


async def admin_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard of operations that need the admin token too."""
    gatekeeper: Gatekeeper = connection.app.state.gatekeeper
    gatekeeper.check_admin(_header(connection.scope, b"x-admin-token"), client_of(connection.scope))


def for_admin(request: ASGIConnection[Any, Any, Any, Any], kind: type[T], answer: msgspec.Struct) -> T:
    """Return an answer to an admin operation, with the hint to change an old token."""
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    fields = msgspec.structs.asdict(answer)
    return kind(**fields, next_rotation_hint=gatekeeper.rotation_hint)


def client_of(scope: Any) -> str:
    """Return what the client of a request is told apart by."""
    client = scope.get("client")
    return client_name(client[0]) if client else ""


def client_name(host: str) -> str:
    """Return what clients are told apart by: the IPv4 address, or the network of an IPv6 address."""
    if ":" not in host:
        return host
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_network((host.partition("%")[0], _IPV6_NETWORK), strict=False))
    return host


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _header(scope: Any, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None
