"""Feature version v3: v2, solids, facets and the largest entity kinds; 22 slots."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import FeatureVersion, hookimpl
from cadml_plugins.features._version import MeasuredVersion

V3 = MeasuredVersion("v3")


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register v3."""
    return [V3]
