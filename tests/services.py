"""Services put together by hand, for tests that need a few of them and no runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.intake.intake import Intake
from cadml_core.reading.pool import ReaderPool


def intake_over(
    catalog: Catalog,
    features: Mapping[str, FeatureVersion],
    formats: Mapping[str, FormatAdapter] | None = None,
    *,
    readers: ReaderPool | None = None,
    uploads: Path | None = None,
    cache: FeatureCache | None = None,
) -> Intake:
    """An intake over a catalogue. Its readers start no process before a file has to be read."""
    formats = formats or {}
    readers = readers or ReaderPool(formats, features, limits=ReadLimits(), workers=1)
    blobs = BlobStore(uploads or Path(tempfile.gettempdir()) / "no-uploads", catalog.readers_of)
    return Intake(catalog, readers, formats, features, blobs, cache or FeatureCache(1000, 3600))
