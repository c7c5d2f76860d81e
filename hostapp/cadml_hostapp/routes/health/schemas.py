"""What ``/health`` and ``/ready`` answer."""

from __future__ import annotations

from typing import Literal

import msgspec


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process works."""

    status: Literal["ok", "degraded"]
    version: str
    feature_version: str
    vector_backend: str
    uptime_seconds: float


class ReadyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server can do its job."""

    ready: bool
    checks: dict[str, str]
