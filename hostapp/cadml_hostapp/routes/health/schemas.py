"""What ``/health`` and ``/ready`` answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from cadml_core.isolation.inspection import Layer


class ModelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The classifier, as far as this server process is concerned."""

    process: Literal["none", "ready", "starting"]
    version: str | None
    failures: int
    """Of its process, in the last ten minutes."""
    quarantined: int
    """Models that failed too often to serve again by themselves."""


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process works."""

    status: Literal["ok", "degraded", "unavailable"]
    """``degraded``: a stand-in answers for the index. ``unavailable``: the catalogue does not answer."""
    catalogue: str
    """``ok``, or the code of the error, or that there is no answer yet."""
    version: str
    feature_version: str
    vector_backend: str
    uptime_seconds: float
    model: ModelHealth
    sandbox: tuple[Layer, ...] | None
    """Rights that readers and models lose on this machine, each tried out; null until that is done."""


class ReadyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server can do its job."""

    ready: bool
    checks: dict[str, str]
