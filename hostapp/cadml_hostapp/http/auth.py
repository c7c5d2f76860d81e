"""API keys and the admin token: made once, compared in constant time, old ones noticed."""

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
"""``opt`` of a route under the API's path that needs no key."""
ROTATE_AFTER = timedelta(days=7)


class StoredKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What ``keys.json`` in the data folder holds."""

    api_key: str
    admin_token: str
    created: str


class KeyFile:
    """The keys of a server that nobody gave any, in the data folder, readable by its owner only."""

    def __init__(self, data_folder: Path) -> None:
        self.path = data_folder / "keys.json"

    def load(self) -> StoredKeys | None:
        """Return the keys, None where there are none yet.

        Raises:
            InvalidSetting: The file is there, but is not one of ours.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=StoredKeys)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidSetting(
                f"cannot read the keys in {self.path}: {error}; repair or remove the file, or set API_KEYS"
                " and ADMIN_TOKEN"
            ) from error

    def create(self, *, replace: bool = False) -> StoredKeys:
        """Return the keys, made now where there are none or where they are to be replaced.

        Several processes may do so at once: all get the same keys.
        """
        if not replace and (found := self.load()) is not None:
            return found
        keys = StoredKeys(
            api_key=secrets.token_hex(24),
            admin_token=secrets.token_hex(24),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)))
        try:
            if replace:
                draft.replace(self.path)
            else:
                os.link(draft, self.path)  # the first of several processes wins
        except FileExistsError:
            return self.load() or self.create()
        finally:
            draft.unlink(missing_ok=True)
        return keys


def with_keys(settings: Settings) -> Settings:
    """Return settings that have an API key and an admin token, made and stored where they have none."""
    if settings.api_keys and settings.admin_token:
        return settings
    stored = KeyFile(settings.data_path).create()
    return msgspec.structs.replace(
        settings,
        api_keys=settings.api_keys or (stored.api_key,),
        admin_token=settings.admin_token or stored.admin_token,
    )


class Gatekeeper:
    """Knows who may do what."""

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
        """Return a short name of the key for logs and limits.

        Raises:
            CadmlError: AUTH_FAILED where the key is missing or wrong.
        """
        if presented is None:
            raise CadmlError(f"the header {KEY_HEADER} is missing", code="AUTH_FAILED")
        found, admitted = hashlib.sha256(presented).digest(), False
        for key in self._keys:
            admitted |= hmac.compare_digest(found, key)
        if not admitted:
            raise CadmlError(f"the key in {KEY_HEADER} is wrong", code="AUTH_FAILED")
        return found.hex()[:8]

    def check_admin(self, presented: bytes | None) -> None:
        """Admit the admin.

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
        """What to tell the admin about a token that has been in use for long."""
        if self._admin_since is None or self._now() - self._admin_since < ROTATE_AFTER:
            return None
        days = (self._now() - self._admin_since).days
        return (
            f"the admin token has been in use for {days} days; change ADMIN_TOKEN or run `cadml keys rotate`"
        )

    def _remember(self, path: Path) -> datetime | None:
        """Return when the admin token was first seen, noted in the data folder under a salted hash."""
        if self._admin is None:
            return None
        try:
            known: dict[str, str] = json.loads(path.read_bytes())
            salt = bytes.fromhex(known["salt"])
            if hmac.compare_digest(known["token"], hmac.new(salt, self._admin, "sha256").hexdigest()):
                return datetime.fromisoformat(known["since"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there yet, or not ours: begin anew
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
            log.warning("cannot note the age of the admin token: %s", error.strerror)
        return since


class KeyCheck:
    """ASGI middleware: nothing under the API's path answers without a key, plugins' routes included."""

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
    """Guard of the operations that need the admin token as well."""
    gatekeeper: Gatekeeper = connection.app.state.gatekeeper
    gatekeeper.check_admin(_header(connection.scope, b"x-admin-token"))


def for_admin(request: ASGIConnection[Any, Any, Any, Any], kind: type[T], answer: msgspec.Struct) -> T:
    """Return an answer as its variant for the admin, with the hint to change an old token."""
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
