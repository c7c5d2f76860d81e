"""Feature version v4: v3, surface count and shape entropy; 24 slots."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import FeatureVersion, hookimpl
from cadml_plugins.features._version import MeasuredVersion

V4 = MeasuredVersion("v4")


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register v4."""
    return [V4]
