"""The conformance kit is itself tested: a plugin that breaks one promise fails the test of that promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cadml_core import (
    BoundingBox,
    CadDocument,
    FeatureSlot,
    Hits,
    IndexKey,
    MalformedFile,
    ReadLimits,
    TriangleMesh,
    UnsupportedContent,
)
from cadml_core.contracts.policies import PickleScan, Verdict
from cadml_core.testing import (
    FeatureVersionContract,
    FormatAdapterContract,
    OpcodePolicyContract,
    VectorBackendContract,
)

BOX = BoundingBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def failures(contract: type, **fixtures: Callable[[], Any]) -> set[str]:
    """Run every test of a contract with these fixtures and return the names of those that fail."""
    failed = set()
    for name in dir(contract):
        if not name.startswith("test_"):
            continue
        test = getattr(contract(), name)
        for arguments in cases(test):
            wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
            values = {key: fixtures[key]() for key in wanted if key not in arguments}
            try:
                test(**values, **arguments)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001
                failed.add(name)
    return failed


def cases(test: Any) -> list[dict[str, Any]]:
    """Return the parameter sets of a test that is parametrised by one name."""
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            return [{mark.args[0]: value} for value in mark.args[1]]
    return [{}]


# -- format adapters -------------------------------------------------------------------------------------


class RightAdapter:
    """Reads `DOTS` and a line per point."""

    name, version, suffixes, media_types = "dots", "1", (".dots",), ("model/dots",)

    def sniff(self, head: bytes) -> bool:
        """Tell by the first word."""
        return head.startswith(b"DOTS\n")

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Count the lines."""
        data = path.read_bytes()
        if not self.sniff(data) or not data.endswith(b"END\n"):
            raise MalformedFile("expected DOTS ... END")
        return CadDocument(format="dots", entity_counts={"dot": data.count(b"\n")}, bounding_box=BOX)


class NamesTheUnitOnly(RightAdapter):
    """Takes a stated unit and converts nothing."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        document = super().read(path, limits)
        return msgspec.structs.replace(document, unit=limits.unit and limits.unit.name)


class ConvertsInSilence(RightAdapter):
    """Converts by a stated unit and does not say so."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        return super().read(path, limits).scaled(limits.unit.millimetres if limits.unit else 1.0)


class SniffsEverything(RightAdapter):
    """Claims noise."""

    def sniff(self, head: bytes) -> bool:
        return True

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        if not path.read_bytes().startswith(b"DOTS"):
            raise MalformedFile("no")
        return super().read(path, limits)


class SniffRaises(RightAdapter):
    """Decodes before it looks."""

    def sniff(self, head: bytes) -> bool:
        return head.decode("ascii").startswith("DOTS\n")


class LeaksExceptions(RightAdapter):
    """Lets a builtin error out."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        try:
            return super().read(path, limits)
        except MalformedFile:
            raise KeyError("header") from None


class ReadsNoise(RightAdapter):
    """Never refuses."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        try:
            return super().read(path, limits)
        except MalformedFile:
            return CadDocument(format="dots")


class NeverTheSame(RightAdapter):
    """Counts its calls into the document."""

    calls = 0

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        type(self).calls += 1
        return msgspec.structs.replace(super().read(path, limits), solid_count=self.calls)


class WritesToTheFile(RightAdapter):
    """Touches what it reads."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        document = super().read(path, limits)
        path.write_bytes(path.read_bytes()[:-4] + b"\nEND\n")
        return document


class NamesAnotherFormat(RightAdapter):
    """Signs with a name that is not its own."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        return msgspec.structs.replace(super().read(path, limits), format="dashes")


class AsciiPathsOnly(RightAdapter):
    """Trips over a name."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        str(path).encode("ascii")
        return super().read(path, limits)


class StaysAtHome(RightAdapter):
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        self.key = lambda: 0


class ShoutsItsSuffix(RightAdapter):
    """Has a suffix that detection never meets."""

    suffixes = (".DOTS",)


class CountsCornersFromOne(RightAdapter):
    """Makes a mesh whose last corner is not there."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        document = super().read(path, limits)
        mesh = TriangleMesh(np.eye(3), np.array([[1, 2, 3]])) if limits.mesh else None
        return msgspec.structs.replace(document, mesh=mesh)


class MakesMoreTrianglesThanWanted(RightAdapter):
    """Overlooks the bound of the mesh."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        document = super().read(path, limits)
        mesh = TriangleMesh(np.eye(3), np.array([[0, 1, 2]] * 20)) if limits.mesh else None
        return msgspec.structs.replace(document, mesh=mesh)


def adapter_failures(kind: type[RightAdapter], folder: Path) -> set[str]:
    """Run the adapter contract, each test on a fresh sample."""
    numbers = iter(range(1000))

    def sample() -> Path:
        path = folder / str(next(numbers)) / "sample.dots"
        path.parent.mkdir()
        path.write_bytes(b"DOTS\n" + b"1 2 3\n" * 20 + b"END\n")
        return path

    return failures(FormatAdapterContract, adapter=kind, sample=sample)


def test_a_right_adapter_passes(tmp_path: Path) -> None:
    """The kit fails no test of an adapter that keeps its promises."""
    assert adapter_failures(RightAdapter, tmp_path) == set()


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (SniffsEverything, "test_sniff_never_raises"),
        (SniffRaises, "test_sniff_never_raises"),
        (LeaksExceptions, "test_a_cut_file_is_refused_or_read"),
        (ReadsNoise, "test_noise_is_refused"),
        (NeverTheSame, "test_reads_the_same_twice"),
        (WritesToTheFile, "test_reads_the_same_twice"),
        (NamesAnotherFormat, "test_reads_a_good_file"),
        (AsciiPathsOnly, "test_reads_any_name"),
        (StaysAtHome, "test_travels_to_the_readers"),
        (ShoutsItsSuffix, "test_satisfies_the_protocol"),
        (CountsCornersFromOne, "test_a_mesh_is_sound_and_within_its_bound"),
        (MakesMoreTrianglesThanWanted, "test_a_mesh_is_sound_and_within_its_bound"),
        (NamesTheUnitOnly, "test_a_stated_unit_scales_all_or_nothing"),
        (ConvertsInSilence, "test_a_stated_unit_scales_all_or_nothing"),
    ],
)
def test_a_wrong_adapter_is_caught(kind: type[RightAdapter], caught_by: str, tmp_path: Path) -> None:
    """Each broken promise fails the test that is there for it."""
    assert caught_by in adapter_failures(kind, tmp_path)


# -- feature versions ------------------------------------------------------------------------------------


class RightVersion:
    """Counts entities and surfaces."""

    name, needs_mesh, metric = "vx", False, "l2"
    slots = tuple(FeatureSlot(name, "geometric", "vx", "count", name) for name in ("entities", "surfaces"))

    def extract(self, document: CadDocument) -> Any:
        """Two numbers."""
        return np.array([document.entity_count, document.surface_count], dtype=np.float64)

    def embed(self, values: Any) -> Any:
        """Their logarithms."""
        if values.shape[1] != 2:
            raise ValueError("expected two columns")
        return np.log1p(values).astype(np.float32)


class NotFinite(RightVersion):
    """Divides by what may be zero."""

    def extract(self, document: CadDocument) -> Any:
        with np.errstate(all="ignore"):
            return super().extract(document) / np.float64(document.entity_count)


class WrongWidth(RightVersion):
    """Forgets a slot."""

    def extract(self, document: CadDocument) -> Any:
        return super().extract(document)[:1]


class SinglePrecision(RightVersion):
    """Loses digits."""

    def extract(self, document: CadDocument) -> Any:
        return super().extract(document).astype(np.float32)


class Random(RightVersion):
    """Adds noise."""

    def extract(self, document: CadDocument) -> Any:
        return super().extract(document) + np.random.default_rng().random()


class EmbedsInPlace(RightVersion):
    """Writes into the raw values."""

    def embed(self, values: Any) -> Any:
        values += 1
        return super().embed(values)


class ScalesByTheBatch(RightVersion):
    """Makes a row depend on its neighbours."""

    def embed(self, values: Any) -> Any:
        embedded = super().embed(values)
        return embedded / max(1.0, float(embedded.max(initial=0.0)))


class EmbedsAnything(RightVersion):
    """Does not look at the width."""

    def embed(self, values: Any) -> Any:
        return np.log1p(values[:, :2]).astype(np.float32)


class Homebody(RightVersion):
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        self.key = lambda: 0


class TwinSlots(RightVersion):
    """Names two slots alike."""

    slots = (RightVersion.slots[0],) * 2


class UsesAMeshUnasked(RightVersion):
    """Gives other values where there happens to be a mesh."""

    def extract(self, document: CadDocument) -> Any:
        return super().extract(document) + (document.mesh is not None)


class RightMeshVersion(RightVersion):
    """Counts triangles and measures how far they reach."""

    needs_mesh = True

    def extract(self, document: CadDocument) -> Any:
        """Two numbers of the mesh."""
        if document.mesh is None and not document.empty:
            raise UnsupportedContent("there is no mesh")
        corners = document.mesh.vertices[document.mesh.triangles] if document.mesh else np.empty((0, 3, 3))
        return self.measured(corners)

    def measured(self, corners: Any) -> Any:
        """Two numbers of triangles (n, 3, 3)."""
        reach = corners.max(initial=0.0)
        return np.array([len(corners), min(reach, 1e30)], dtype=np.float64)


class ForgetsTheEmptyDocument(RightMeshVersion):
    """Refuses a document without geometry as well."""

    def extract(self, document: CadDocument) -> Any:
        if document.mesh is None:
            raise UnsupportedContent("there is no mesh")
        return super().extract(document)


class TripsOverAMissingMesh(RightMeshVersion):
    """Takes it for granted."""

    def extract(self, document: CadDocument) -> Any:
        mesh: Any = document.mesh
        return np.zeros(2) if document.empty else self.measured(mesh.vertices[mesh.triangles])


class ZerosForAMissingMesh(RightMeshVersion):
    """Makes up values."""

    def extract(self, document: CadDocument) -> Any:
        return np.zeros(2) if document.mesh is None else super().extract(document)


class DividesByTheTriangles(RightMeshVersion):
    """Takes for granted that there is one."""

    def measured(self, corners: Any) -> Any:
        with np.errstate(all="ignore"):
            return super().measured(corners) / np.float64(len(corners))


class MovesTheMesh(RightMeshVersion):
    """Works in the arrays of the document."""

    def extract(self, document: CadDocument) -> Any:
        if document.mesh is not None:
            document.mesh.vertices[:] -= 1.0
        return super().extract(document)


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (RightVersion, None),
        (NotFinite, "test_values_are_finite_float64_one_per_slot"),
        (WrongWidth, "test_values_are_finite_float64_one_per_slot"),
        (SinglePrecision, "test_values_are_finite_float64_one_per_slot"),
        (Random, "test_extraction_is_deterministic_and_thread_safe"),
        (EmbedsInPlace, "test_embedding_leaves_its_input_alone"),
        (ScalesByTheBatch, "test_embedding_is_finite_float32_row_by_row"),
        (EmbedsAnything, "test_embedding_refuses_another_width"),
        (Homebody, "test_travels_to_the_readers"),
        (TwinSlots, "test_slots_are_named_once"),
        (UsesAMeshUnasked, "test_values_follow_from_the_summary_or_need_a_mesh"),
        (RightMeshVersion, None),
        (ForgetsTheEmptyDocument, "test_values_are_finite_float64_one_per_slot"),
        (TripsOverAMissingMesh, "test_values_follow_from_the_summary_or_need_a_mesh"),
        (ZerosForAMissingMesh, "test_values_follow_from_the_summary_or_need_a_mesh"),
        (DividesByTheTriangles, "test_values_are_finite_float64_one_per_slot"),
        (MovesTheMesh, "test_values_are_finite_float64_one_per_slot"),
    ],
)
def test_feature_versions(kind: type[RightVersion], caught_by: str | None) -> None:
    """A right version passes; each broken promise fails the test that is there for it."""
    failed = failures(FeatureVersionContract, version=kind)
    assert failed == set() if caught_by is None else caught_by in failed


# -- vector backends -------------------------------------------------------------------------------------


class RightIndex:
    """A dictionary and a sort."""

    def __init__(self, dimension: int, metric: str) -> None:
        self.dimension, self.metric = dimension, metric
        self.rows: dict[int, Any] = {}

    def check(self, vectors: Any) -> Any:
        """Refuse what cannot be."""
        vectors = np.array(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or not np.isfinite(vectors).all():
            raise ValueError("not a finite matrix of the right width")
        return vectors

    def upsert(self, ids: Any, vectors: Any) -> None:
        """Add or replace."""
        vectors = self.check(vectors)
        self.rows = {**self.rows, **dict(zip(ids.tolist(), vectors, strict=True))}

    def remove(self, ids: Any) -> int:
        """Delete."""
        gone = set(ids.tolist()) & set(self.rows)
        self.rows = {key: row for key, row in self.rows.items() if key not in gone}
        return len(gone)

    def distance(self, query: Any, row: Any) -> float:
        """Distance of the metric."""
        if self.metric == "l2":
            return float(((query - row) ** 2).sum())
        return float(1 - query @ row / (np.linalg.norm(query) * np.linalg.norm(row)))

    def key(self, found: tuple[float, int]) -> Any:
        """Order of hits."""
        return found

    def pool(self, allowed: Any) -> dict[int, Any]:
        """Rows that may be found."""
        rows = self.rows
        return rows if allowed is None else {i: rows[i] for i in allowed.tolist() if i in rows}

    def search(self, queries: Any, k: int, allowed: Any = None) -> Hits:
        """Sort all."""
        queries = self.check(queries)
        if k < 1:
            raise ValueError("k")
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        distances = np.full((len(queries), k), np.inf, dtype=np.float32)
        rows = self.pool(allowed)
        for line, query in enumerate(queries):
            found = sorted(((self.distance(query, row), key) for key, row in rows.items()), key=self.key)[:k]
            for column, (distance, key) in enumerate(found):
                ids[line, column], distances[line, column] = key, distance
        return Hits(ids, distances)

    def __len__(self) -> int:
        return len(self.rows)

    def close(self) -> None:
        """Nothing to do."""


class FiltersAfterTheCut(RightIndex):
    """Loses hits."""

    def search(self, queries: Any, k: int, allowed: Any = None) -> Hits:
        hits = super().search(queries, k)
        if allowed is not None:
            banned = ~np.isin(hits.ids, allowed)
            hits.ids[banned], hits.distances[banned] = -1, np.inf
        return hits


class NeverDeletes(RightIndex):
    """Says so only."""

    def remove(self, ids: Any) -> int:
        return len(set(ids.tolist()) & set(self.rows))


class KeepsTheFirst(RightIndex):
    """Does not replace."""

    def upsert(self, ids: Any, vectors: Any) -> None:
        vectors = self.check(vectors)
        self.rows = {**dict(zip(ids.tolist(), vectors, strict=True)), **self.rows}


class TiesByAge(RightIndex):
    """Leaves equal distances in the order of arrival."""

    def key(self, found: tuple[float, int]) -> Any:
        return found[0]


class RootedDistance(RightIndex):
    """Returns the distance where its square is promised."""

    def distance(self, query: Any, row: Any) -> float:
        return float(super().distance(query, row) ** 0.5)


class TakesNaN(RightIndex):
    """Stores what cannot be compared."""

    def check(self, vectors: Any) -> Any:
        if vectors.shape[1] != self.dimension:
            raise ValueError("width")
        return np.nan_to_num(np.array(vectors, dtype=np.float32))


class KeepsTheCallersArray(RightIndex):
    """Does not copy."""

    def check(self, vectors: Any) -> Any:
        super().check(vectors)
        return vectors


class CutsLongIds(RightIndex):
    """Keeps 32 bits of an id."""

    def upsert(self, ids: Any, vectors: Any) -> None:
        super().upsert(ids.astype(np.int32).astype(np.int64), vectors)


class OneForAll(RightIndex):
    """Keeps its rows on the class."""

    shared: dict[int, Any]

    def __init__(self, dimension: int, metric: str) -> None:
        super().__init__(dimension, metric)
        self.rows = STORE

    def upsert(self, ids: Any, vectors: Any) -> None:
        self.rows.update(zip(ids.tolist(), self.check(vectors), strict=True))


STORE: dict[int, Any] = {}


class NoOptions(msgspec.Struct):
    """Options of a backend that has none."""


def backend_failures(kind: type[RightIndex]) -> set[str]:
    """Run the backend contract over an index class."""

    class Backend:
        name, config_type = "fake", NoOptions

        def open(self, config: Any, *, key: IndexKey, dimension: int, metric: str) -> RightIndex:
            return kind(dimension, metric)

    contract = VectorBackendContract()
    sample = VectorBackendContract.sample.__wrapped__  # type: ignore[attr-defined]
    return failures(
        VectorBackendContract,
        backend=Backend,
        config=NoOptions,
        index=lambda: kind(6, "l2"),
        sample=lambda: sample(contract),
    )


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (RightIndex, None),
        (FiltersAfterTheCut, "test_filters_before_the_cut"),
        (NeverDeletes, "test_remove_deletes"),
        (KeepsTheFirst, "test_upsert_replaces"),
        (TiesByAge, "test_equal_distances_are_ordered_by_id"),
        (RootedDistance, "test_distances_are_those_of_the_contract"),
        (TakesNaN, "test_refuses_what_is_not_finite"),
        (KeepsTheCallersArray, "test_does_not_keep_the_callers_arrays"),
        (CutsLongIds, "test_finds_what_brute_force_finds"),
        (OneForAll, "test_two_indexes_share_nothing"),
    ],
)
def test_vector_backends(kind: type[RightIndex], caught_by: str | None) -> None:
    """A right backend passes; each broken promise fails the test that is there for it."""
    STORE.clear()
    failed = backend_failures(kind)
    assert failed == set() if caught_by is None else caught_by in failed


# -- opcode policies -------------------------------------------------------------------------------------


class RightPolicy:
    """Refuses what is malformed."""

    name = "right"

    def judge(self, scan: PickleScan) -> Verdict:
        """Pass the malformed findings on."""
        return Verdict(self.name, not scan.malformed, scan.malformed)


class AllowsMalformed(RightPolicy):
    """Looks away."""

    def judge(self, scan: PickleScan) -> Verdict:
        return Verdict(self.name, True, scan.malformed)


class RefusesEverything(RightPolicy):
    """Safe, and useless."""

    def judge(self, scan: PickleScan) -> Verdict:
        return Verdict(self.name, False, scan.malformed)


class Unsigned(RightPolicy):
    """Signs with another name."""

    def judge(self, scan: PickleScan) -> Verdict:
        return Verdict("someone", not scan.malformed, scan.malformed)


class Moody(RightPolicy):
    """Changes its mind."""

    asked = 0

    def judge(self, scan: PickleScan) -> Verdict:
        self.asked += 1
        return Verdict(self.name, self.asked % 2 == 0, scan.malformed)


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (RightPolicy, None),
        (AllowsMalformed, "test_refuses_what_is_malformed"),
        (RefusesEverything, "test_allows_plain_numbers"),
        (Unsigned, "test_signs_its_verdict"),
        (Moody, "test_is_pure"),
    ],
)
def test_opcode_policies(kind: type[RightPolicy], caught_by: str | None) -> None:
    """A right policy passes; each broken promise fails the test that is there for it."""
    failed = failures(OpcodePolicyContract, policy=kind)
    assert failed == set() if caught_by is None else caught_by in failed
