"""Fill the feature cache from the catalogue with what was asked for lately."""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple

from cadml_core.catalog.records import ReadBy
from cadml_core.errors import CadmlError
from cadml_core.feature_cache.entries import Key
from cadml_core.feature_cache.trail import Trail, Wanted
from cadml_core.intake.cache_answers import PrewarmReport, Source
from cadml_core.intake.intake import Intake
from cadml_core.metrics import feature_cache_prewarm_total

log = logging.getLogger(__name__)

Result = Literal["success", "skipped", "error"]


class _Item(NamedTuple):
    wanted: Wanted
    source: Source


def prewarm(intake: Intake, trail: Trail, version: str, most: int) -> PrewarmReport:
    """Load vectors into the cache, the recent hits first, then the parts of batch queries, then the most
    frequent for their length. The first of them are the last to leave the cache again.

    Args:
        intake: Has the cache, and knows how to get them without reading a file.
        trail: What was asked for.
        version: The feature version of batch queries.
        most: At most so many.
    """
    items = _items(intake, trail, version)[:most]
    how = intake.catalog.readers_of({item.wanted.sha256 for item in items})
    found = intake.cache.statistics()
    room = found.capacity - found.size
    results: list[tuple[Result, Source]] = []
    chosen: list[_Item] = []
    for item in items:
        if len(chosen) < room and _is_loadable(intake, item.wanted, how):
            chosen.append(item)
        else:
            results.append(("skipped", item.source))
    results += [(_load(intake, item.wanted), item.source) for item in reversed(chosen)]
    for result, _ in results:
        feature_cache_prewarm_total.labels(result=result).inc()
    return _report(results)


def _items(intake: Intake, trail: Trail, version: str) -> list[_Item]:
    """Return every vector once, in the order of priority."""
    lengths = {name: len(feature.slots) for name, feature in intake.features.items()}
    found: dict[Wanted, Source] = {}
    for wanted in reversed(trail.hits):
        found.setdefault(wanted, "recent_hits")
    parts = intake.catalog.parts_by_id(trail.references)
    for part_id in reversed(trail.references):
        sha256 = parts[part_id].sha256 if part_id in parts else None
        if sha256:
            found.setdefault(Wanted(sha256, version), "batch_references")
    for wanted in trail.by_worth(lengths):
        found.setdefault(wanted, "frequent")
    return [_Item(wanted, source) for wanted, source in found.items()]


def _is_loadable(intake: Intake, wanted: Wanted, how: dict[str, ReadBy]) -> bool:
    reader = how.get(wanted.sha256)
    if reader is None or wanted.version not in intake.features:
        return False
    current = intake.is_current(reader, intake.formats.get(reader.format), None)
    return current and not intake.cache.holds(Key(wanted.sha256, *reader, wanted.version))


def _load(intake: Intake, wanted: Wanted) -> Result:
    try:
        content = intake.catalog.contents([wanted.sha256]).get(wanted.sha256)
        return "success" if content and intake.warm(content, wanted.version) else "skipped"
    except CadmlError as error:
        log.warning("cannot warm %s of %s: %s", wanted.version, wanted.sha256, error.message)
        return "error"


def _report(results: list[tuple[Result, Source]]) -> PrewarmReport:
    counts = {kind: sum(result == kind for result, _ in results) for kind in ("success", "skipped", "error")}
    sources: tuple[Source, ...] = ("recent_hits", "batch_references", "frequent")
    return PrewarmReport(
        requested=len(results),
        warmed=counts["success"],
        skipped=counts["skipped"],
        errors=counts["error"],
        by_source={source: sum(one == ("success", source) for one in results) for source in sources},
    )
