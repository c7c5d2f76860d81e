"""What ``/vectors/migrate`` takes and answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cadml_core.migration.migrator import MigrationReport
from cadml_hostapp.routes.fields import Body, PartId, Text


class MigrationRequest(Body, frozen=True, kw_only=True):
    """What to migrate."""

    to_version: Text
    ids: Annotated[list[PartId], Meta(min_length=1)] | None = None
    """Only these parts; all where None."""
    dry_run: bool = False
    """Compute everything and write nothing."""


class MigrationReportForAdmin(MigrationReport, frozen=True, kw_only=True):
    """What a migration did."""

    next_rotation_hint: str | None = None
    """Set once the admin token has been in use for 7 days."""
