"""How far the answers would change: the neighbours of a sample of parts in two feature versions."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.packing import unpack
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatMatrix, Int64Array
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.intake.intake import Intake
from cadml_core.migration.sources import Recomputation, load, rows_among
from cadml_core.plugins.registry import named
from cadml_core.search.spaces import ExactDistances, Space

LARGEST_POPULATION = 5_000


class RehearsalItem(msgspec.Struct, frozen=True):
    """One part of the sample."""

    id: str
    changed: int
    """How many of its neighbours would be others."""


class Rehearsal(msgspec.Struct, frozen=True):
    """What switching from one feature version to another would do to the answers."""

    from_version: str
    to_version: str
    k: int
    sampled: int
    population: int
    """Parts among which neighbours were looked for: at most 5,000, spread over the catalogue."""
    mean_changed: float
    """Of k neighbours, how many would be others, on average."""
    unchanged_share: float
    """Share of sampled parts whose neighbours all stay, in [0, 1]."""
    most_changed: tuple[RehearsalItem, ...]
    """The ten parts that change most."""


def rehearse(
    intake: Intake,
    from_version: str,
    to_version: str,
    *,
    sample: int = 100,
    k: int = 10,
) -> Rehearsal:
    """Compare the neighbours of a sample of parts in both versions; nothing is stored.

    Raises:
        InvalidInput: ``sample`` or ``k`` is below 1.
        NotFound: A version is not installed, or fewer than two parts have vectors of the first version that
            can be migrated.
    """
    catalog, features = intake.catalog, intake.features
    for name in (from_version, to_version):
        named(features, "feature version", name, stage="migration")
    if sample < 1 or k < 1:
        raise InvalidInput(f"sample = {sample} and k = {k} must be 1 or more", stage="migration")
    rows, before = _spread(catalog, from_version)
    kept, after = _target_values(intake, to_version, rows)
    rows, before = rows[kept], before[kept]
    if len(rows) < 2:
        raise NotFound(
            f"a rehearsal compares neighbours, but only {len(rows)} parts have a {from_version} vector"
            f" that can be migrated to {to_version}",
            stage="migration",
        )
    k = min(k, len(rows) - 1)
    picked = np.unique(np.linspace(0, len(rows) - 1, min(sample, len(rows))).astype(np.int64))
    old = _neighbours(features[from_version], before, picked, k)
    new = _neighbours(features[to_version], after, picked, k)
    changed = [k - len(set(one) & set(other)) for one, other in zip(old.tolist(), new.tolist(), strict=True)]
    return Rehearsal(
        from_version=from_version,
        to_version=to_version,
        k=k,
        sampled=len(picked),
        population=len(rows),
        mean_changed=float(np.mean(changed)),
        unchanged_share=float(np.mean([count == 0 for count in changed])),
        most_changed=_most_changed(catalog, rows[picked], changed),
    )


def _spread(catalog: Catalog, version: str) -> tuple[Int64Array, FloatMatrix]:
    rows, values = catalog.vectors(version)
    if len(rows) > LARGEST_POPULATION:
        picked = np.linspace(0, len(rows) - 1, LARGEST_POPULATION).astype(np.int64)
        rows, values = rows[picked], values[picked]
    return rows, values


def _target_values(intake: Intake, version: str, rows: Int64Array) -> tuple[NDArray[np.bool_], FloatMatrix]:
    """Stored or computed values of the version wanted, and for which rows there are any."""
    target = intake.features[version]
    stored, values = intake.catalog.vectors(version, rows.tolist())
    by_row = dict(zip(stored.tolist(), values, strict=True))
    absent = [row for row in rows.tolist() if row not in by_row]
    with intake.catalog.database.read() as connection:
        sources = load(connection, rows_among(absent))
    recomputation = Recomputation(intake, target)
    for moved in recomputation.move(sources, recomputation.from_files(sources)):
        if moved.raw is not None:
            by_row[moved.source.row] = unpack(moved.raw)
    kept = np.array([row in by_row for row in rows.tolist()], dtype=np.bool_)
    found = [by_row[row] for row in rows.tolist() if row in by_row]
    return kept, np.array(found).reshape(len(found), len(target.slots))


def _neighbours(feature: FeatureVersion, values: FloatMatrix, picked: Int64Array, k: int) -> Int64Array:
    """Positions of the k nearest to each picked part, itself left out; ties go to the first."""
    distances = ExactDistances(Space(feature, "scaled"), values)
    lines = []
    for position in picked.tolist():
        line = distances.to(position)
        line[position] = np.inf
        lines.append(np.argsort(line, kind="stable")[:k])
    return np.array(lines)


def _most_changed(catalog: Catalog, rows: Int64Array, changed: list[int]) -> tuple[RehearsalItem, ...]:
    worst = sorted(zip(rows.tolist(), changed, strict=True), key=lambda pair: (-pair[1], pair[0]))[:10]
    parts = catalog.parts_by_row(row for row, _ in worst)
    return tuple(RehearsalItem(parts[row].id, count) for row, count in worst if row in parts)
