"""What ``/health/faiss`` and ``/vectors/backend`` take and answer."""

from __future__ import annotations

from cadml_core.search.index.health import IndexHealth
from cadml_hostapp.routes.fields import Body, Text


class BackendRequest(Body, frozen=True, kw_only=True):
    """The backend that should answer searches."""

    backend: Text | None = None
    """Name of an installed vector backend; where None, the one in use is rebuilt."""


class IndexHealthForAdmin(IndexHealth, frozen=True, kw_only=True):
    """The state of the index after an admin's action."""

    next_rotation_hint: str | None = None
    """Set once the admin token has been in use for 7 days."""
