"""How well feature versions find parts of a family, and the same part in another format or place.

    python contrib/scripts/describe_parts.py parts.npz FOLDER [FOLDER ...]
    python contrib/scripts/bench_retrieval.py parts.npz

Families: each part is searched among all others of its collection. Variants: each is searched among all
parts, and its base should come first. The weights of ``shape`` are fitted anew for each fifth of the
families, on the others only, and asked about that fifth only. Files as near as the right one count as half
before it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import fit_shape
import numpy as np
from numpy.typing import NDArray

from cadml_plugins.features.shape._metric import INDEXED, WEIGHTS, Metric
from cadml_plugins.features.v4 import V4

Floats = NDArray[np.float64]
Distances = Callable[[int], Floats]
FOLDS = 5


class Table:
    """The parts, and which of them are asked about by which fold."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.__dict__.update({name: file[name] for name in file.files})
        self.names: NDArray[np.str_]
        self.families: NDArray[np.str_]
        self.relations: NDArray[np.str_]
        self.bases: NDArray[np.int64]
        self.groups: NDArray[np.int64]
        self.values: Floats = self.values.astype(np.float64)  # type: ignore[has-type]
        self.v4: Floats
        # A variant belongs to the fold of its base; parts without a family to that of their folder.
        owner = np.where(self.bases >= 0, self.bases, np.arange(len(self.names)))
        folders = [name.rsplit("/", 1)[0] for name in self.names.tolist()]
        self.homes = np.array([self.families[own] or folders[own] for own in owner.tolist()])
        order = np.random.default_rng(1).permutation(np.unique(self.homes))
        fold = {home: number % FOLDS for number, home in enumerate(order.tolist())}
        self.folds = np.array([fold[home] for home in self.homes.tolist()])
        self.collections = np.array([name.split("/")[0] for name in self.names.tolist()])
        self.gallery = (self.bases < 0) | (self.relations == "pair_stl")


def plain(table: Table) -> list[Distances]:
    """Return the distances of v4, the same for each fold."""
    points = V4.embed(table.v4).astype(np.float64)
    return [lambda query: np.sqrt(((points - points[query]) ** 2).sum(axis=1))] * FOLDS


def fitted(table: Table) -> tuple[list[Distances], list[Distances]]:
    """Return the distances of the index vectors of shape and of all its figures, for each fold."""
    index, full = [], []
    with np.load(WEIGHTS, allow_pickle=False) as file:
        installed = {name: file[name] for name in file.files}
    for fold in range(FOLDS):
        own = table.folds == fold
        families = np.where(own, "", table.families)
        weights = installed | fit_shape.fit(table.values, families, np.where(own, -1, table.groups))
        with tempfile.TemporaryDirectory() as folder:
            fit_shape.write(weights, Path(folder) / "weights.npz")
            metric = Metric(Path(folder) / "weights.npz")
        places = metric.place(table.values)
        near = places.mesh[:, :INDEXED]
        index.append(lambda query, near=near: np.sqrt(((near - near[query]) ** 2).sum(axis=1)))
        full.append(lambda query, m=metric, p=places: m.distances(p, query))
    return index, full


def families(
    table: Table, distances: list[Distances], chosen: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> Floats:
    """Return average precision and whether the first is of the family, (queries, 2)."""
    rows = np.flatnonzero(chosen & (table.families != ""))
    found = []
    for query in rows[asked[rows]].tolist():
        distance = distances[table.folds[query]](query)[rows]
        order = rows[np.argsort(distance, kind="stable")]
        right = table.families[order[order != query]] == table.families[query]
        if right.any():
            precision = np.cumsum(right) / np.arange(1, len(right) + 1)
            found.append(((precision * right).sum() / right.sum(), float(right[0])))
    return np.array(found).reshape(-1, 2)


def ranks(table: Table, distances: list[Distances], relation: str, *, back: bool = False) -> Floats:
    """Return the rank of the base of each variant among all parts; ``back``: of the variant for its base."""
    found = []
    for variant in np.flatnonzero((table.relations == relation) & (table.bases >= 0)).tolist():
        base = int(table.bases[variant])
        query, right = (base, variant) if back else (variant, base)
        distance = distances[table.folds[query]](query)
        others = table.gallery & (np.arange(len(distance)) != query)
        others[right] = True
        wanted = distance[right]
        nearer = (distance[others] < wanted - 1e-9).sum()
        ties = (np.abs(distance[others] - wanted) <= 1e-9).sum() - 1
        found.append(1 + nearer + ties / 2)
    return np.array(found)


def report(table: Table, versions: dict[str, list[Distances]]) -> None:
    """Print the figures of all versions side by side."""
    everything = np.ones(len(table.names), np.bool_)
    questions = [
        (f"{name}: mAP / P@1", table.collections == name, everything) for name in np.unique(table.collections)
    ]
    turned = table.relations == "turned"
    questions.append(("  turned queries", table.collections == table.collections[turned.argmax()], turned))
    print(f"{'':34}" + "".join(f"{name:>18}" for name in versions))
    for title, chosen, asked in questions:
        cells = [families(table, distances, chosen, asked).mean(axis=0) for distances in versions.values()]
        print(f"{title:34}" + "".join(f"{f'{a:.3f} / {b:.3f}':>18}" for a, b in cells))
    for relation in sorted(set(table.relations[table.bases >= 0].tolist())):
        for back in (False, True) if relation in ("pair_stl", "twin") else (False,):
            cells = [ranks(table, distances, relation, back=back) for distances in versions.values()]
            title = f"{relation}{' (back)' if back else ''}: first / top 5"
            texts = (f"{(cell <= 1).mean():.2f} / {(cell <= 5).mean():.2f}" for cell in cells)
            print(f"{title:34}" + "".join(f"{text:>18}" for text in texts) + f"{len(cells[0]):6}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, help="the file that describe_parts.py wrote")
    table = Table(parser.parse_args().parts)
    index, full = fitted(table)
    report(table, {"v4": plain(table), "shape, index": index, "shape": full})


if __name__ == "__main__":
    main()
