"""Feature version v2: v1 and proportions; 12 slots."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import FeatureVersion, hookimpl
from cadml_plugins.features._version import MeasuredVersion

V2 = MeasuredVersion("v2")


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register v2."""
    return [V2]
