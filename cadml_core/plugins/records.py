"""What became of one plugin: loaded, failed, blocked or incompatible, and why."""

from __future__ import annotations

from typing import Literal

import msgspec

OWN_DISTRIBUTION = "cadml"

Status = Literal["loaded", "failed", "blocked", "incompatible"]


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry point."""

    name: str
    distribution: str
    version: str
    target: str
    """What the entry point names: ``package.module`` or ``package.module:object``."""
    status: Status
    kinds: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    """The names it registered."""
    error: str | None = None
    traceback: str | None = None
    hint: str | None = None
    import_seconds: float = 0.0

    @property
    def built_in(self) -> bool:
        """True for a plugin of cadml itself."""
        return self.distribution == OWN_DISTRIBUTION

    def without(self, status: Status, error: str, hint: str | None = None) -> PluginRecord:
        """Return the record of the same plugin when nothing of it is used."""
        return msgspec.structs.replace(
            self, status=status, kinds=(), provides=(), error=error, hint=hint or self.hint
        )
