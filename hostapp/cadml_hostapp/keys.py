"""The API key and the admin token that a server without configured ones makes for itself."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cadml_core.errors import InvalidSetting
from cadml_core.private_files import private_folder
from cadml_core.settings import Settings


class StoredKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What ``keys.json`` in the data folder holds."""

    api_key: str
    admin_token: str
    created: str


class KeyFile:
    """``keys.json`` in the data folder, which only its owner can read."""

    def __init__(self, data_folder: Path) -> None:
        self.path = data_folder / "keys.json"

    def load(self) -> StoredKeys | None:
        """Return the keys, None where there are none yet.

        Raises:
            InvalidSetting: The file exists, but does not hold keys.
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
        """Return the keys; make them where there are none or ``replace`` is set.

        Processes that do this at the same time all get the same keys.
        """
        if not replace and (found := self.load()) is not None:
            return found
        keys = StoredKeys(
            api_key=secrets.token_hex(24),
            admin_token=secrets.token_hex(24),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        private_folder(self.path.parent)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)))
        try:
            if replace:
                draft.replace(self.path)
            else:
                os.link(draft, self.path)  # fails where another process was first, which os.replace would not
        except FileExistsError:
            return self.load() or self.create()
        finally:
            draft.unlink(missing_ok=True)
        return keys


def with_keys(settings: Settings) -> Settings:
    """Return settings with an API key and an admin token; those that are missing are made and stored."""
    if settings.api_keys and settings.admin_token:
        return settings
    stored = KeyFile(settings.data_path).create()
    return msgspec.structs.replace(
        settings,
        api_keys=settings.api_keys or (stored.api_key,),
        admin_token=settings.admin_token or stored.admin_token,
    )
