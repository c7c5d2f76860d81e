"""What ``/model`` takes and answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cadml_core.classifier.choice import ModelInfo
from cadml_hostapp.routes.fields import Body


class ModelRequest(Body, frozen=True, kw_only=True):
    """The model that should serve."""

    path: Annotated[str, Meta(min_length=1, max_length=1000, description="Inside the model folder.")]
    expected_sha256: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$")] | None = None


class ModelInfoForAdmin(ModelInfo, frozen=True, kw_only=True):
    """The model that serves now."""

    next_rotation_hint: str | None = None
    """Set once the admin token has been in use for 7 days."""
