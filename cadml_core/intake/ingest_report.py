"""What is asked of an ingest, and what it reports."""

from __future__ import annotations

from typing import Literal

import msgspec

from cadml_core.catalog.records import Status
from cadml_core.contracts.formats import UnitName
from cadml_core.intake.folders import SkippedFiles
from cadml_core.intake.siblings import UnitDoubt

LabelSource = Literal["parent"]


class IngestFailure(msgspec.Struct, frozen=True):
    """One file that is not in the catalogue, and why."""

    path: str
    code: str
    message: str


class IngestSummary(msgspec.Struct, frozen=True):
    """What a run did; the counts add up to ``total``."""

    total: int
    added: int
    replaced: int
    """Their content has changed."""
    updated: int
    """The same content with another label, path, reader version or feature version."""
    unchanged: int
    failed: int
    failures: tuple[IngestFailure, ...]
    doubts: tuple[UnitDoubt, ...] = ()
    """Of the files that were read in this run."""
    skipped: tuple[SkippedFiles, ...] = ()
    """Files of other CAD systems in the folders; not in ``total``."""


class IngestProgress(msgspec.Struct, frozen=True):
    """One file is done; durable where it did not fail."""

    done: int
    total: int
    path: str
    status: Status | Literal["failed"]


class IngestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the files."""

    versions: tuple[str, ...]
    """Feature versions to compute; those that a part already has are kept up to date too."""
    optional: tuple[str, ...] = ()
    """More of them, which files that do not allow them go without: those without a surface, say."""
    label_from: LabelSource | None = None
    """``parent``: the name of a file's folder becomes its label."""
    material: str | None = None
    project: str | None = None
    unit: UnitName | None = None
    """That of files that state none; None leaves what was said of a content before."""
    retry: bool = False
    """Read again what could not be read before."""
    follow_links: bool = False
    """Whether links in a folder may lead out of it."""
