"""Why a search found nothing, and what to do about it."""

from __future__ import annotations

from cadml_core.catalog.counts import count_parts, count_vectors
from cadml_core.catalog.records import PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.errors import NotFound
from cadml_core.search.filters import Admission
from cadml_core.search.questions import Question

_NAMED = ("format", "material", "project", "label", "text")


def why_nothing(catalog: Catalog, version: str, question: Question, admission: Admission) -> str:
    """Return a sentence for an empty answer.

    Args:
        catalog: What was searched.
        version: The feature version that was searched in.
        question: What was asked.
        admission: Knows which parts the question's filters admit.
    """
    vectors = count_vectors(catalog)
    if not vectors.get(version):
        return _no_vectors(version, vectors, sum(count_parts(catalog, "format").values()))
    total = f"{vectors[version]:,}"
    others = "" if question.exclude is None else " other"
    if question.which or question.ranges:
        rows = admission.rows(question.which, question.ranges)
        holding = set() if rows is None else set(catalog.vectors(version, rows)[0].tolist())
        fitting = len(holding - {question.exclude})
        told = " and ".join(_told(question))
        if not fitting:
            return f"the filter excluded everything: no{others} part has {told}; without it there are {total}"
        return (
            f"{fitting:,}{others} parts have {told}, and none of them scores {question.min_score:g} or more"
        )
    if question.min_score > 0.0:
        return f"none of the {total} parts scores {question.min_score:g} or more"
    return f"the catalogue holds no other part with a {version} vector"


def no_such_vector(catalog: Catalog, part_id: str, version: str) -> NotFound:
    """Return the error for a part that a search in this version cannot begin from.

    Raises:
        NotFound: There is no such part at all.
    """
    has = sorted(catalog.vectors_of([row := catalog.part(part_id).row]).get(row, {}))
    what = f"it has {', '.join(has)}: search with one of them" if has else "it has no other"
    return NotFound(
        f"part {part_id!r} has no {version} vector; {what}, or compute it: {_compute(version)}",
        stage="similarity",
        id=part_id,
        version=version,
        has=has,
    )


def _no_vectors(version: str, vectors: dict[str, int], parts: int) -> str:
    if not parts:
        return "the catalogue is empty; `cadml ingest FOLDER` fills it"
    if not vectors:
        return f"none of the {parts:,} parts has a vector; compute them: {_compute(version)}"
    told = ", ".join(f"{count:,} of {name}" for name, count in vectors.items())
    return (
        f"no part has a {version} vector, but the catalogue holds {told}; search with"
        f" `--version {max(vectors, key=lambda name: vectors[name])}` (FEATURE_VERSION for a server),"
        f" or compute the others: {_compute(version)}"
    )


def _compute(version: str) -> str:
    return f"`cadml migrate run {version}`"


def _told(question: Question) -> list[str]:
    which = question.which or PartFilter()
    told = [f"the {name} {value!r}" for name in _NAMED if (value := getattr(which, name)) is not None]
    if which.extents is not None:
        told.append(
            "extents of " + " x ".join(f"{low:.4g} to {high:.4g}" for low, high in which.extents) + " mm"
        )
    return told + [f"{wanted.slot} within its range" for wanted in question.ranges]
