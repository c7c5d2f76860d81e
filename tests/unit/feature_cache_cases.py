"""What the tests of the feature cache share: time that passes when told to, contents, a control over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.documents.document import BoundingBox, CadDocument
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.feature_cache.choice import Limits
from cadml_core.feature_cache.shared_trail import SharedTrail
from cadml_core.feature_cache.tuning import SharedTuning
from cadml_core.intake.cache_control import CacheControl
from cadml_core.intake.intake import Intake
from cadml_plugins.features.v1 import V1
from cadml_plugins.features.v4 import V4
from cadml_plugins.formats.stl.adapter import StlAdapter
from tests.services import intake_over

FEATURES: dict[str, Any] = {"v1": V1, "v4": V4}
STL: FormatAdapter = StlAdapter()
WINDOW = 300


class FakeClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.seconds

    def now(self) -> datetime:
        """A date that follows."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


def content(number: int) -> Content:
    """What a file with a box of that width would give."""
    document = CadDocument(
        format="stl",
        entity_counts={"triangle": 12 + number},
        facet_count=12 + number,
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0 + number, 2.0, 3.0)),
    )
    return Content(
        sha256=f"{number:064x}", size=1, format="stl", adapter_version=STL.version, document=document
    )


def add_parts(catalog: Catalog, count: int) -> None:
    """Store parts p0, p1 and so on, with their v1."""
    catalog.add(
        [
            NewPart(
                id=f"p{number}",
                content=content(number),
                vectors={"v1": Vector(V1.extract(content(number).document))},
            )
            for number in range(count)
        ]
    )


class Process:
    """The cache of one process on a catalogue."""

    def __init__(
        self,
        catalog: Catalog,
        clock: FakeClock | None = None,
        *,
        capacity: int = 1000,
        ttl: int = 3600,
        most: int = 500,
    ) -> None:
        clock = clock or FakeClock()
        self.intake: Intake = intake_over(
            catalog, FEATURES, {"stl": STL}, cache=FeatureCache(capacity, ttl, clock.monotonic)
        )
        self.cache = self.intake.cache
        self.trail = SharedTrail(OperatorState(catalog))
        tuning = SharedTuning(OperatorState(catalog), Limits(capacity, ttl), WINDOW, clock)
        self.control = CacheControl(self.intake, tuning, self.trail, "v1", most)
        self.control.follow()
