"""Feature version v1: extents, layers and entity count; 7 slots."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import FeatureVersion, hookimpl
from cadml_plugins.features._version import MeasuredVersion

V1 = MeasuredVersion("v1")


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register v1."""
    return [V1]
