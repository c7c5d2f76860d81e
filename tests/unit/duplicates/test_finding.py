"""Runs find every planted copy and nothing else, whatever came first and however often it was interrupted."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from cadml_core.catalog.exclusion import exclusive
from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import CadDocument
from cadml_core.duplicates.finder import STAGE, DuplicateFinder
from cadml_core.duplicates.links import Links
from cadml_core.errors import CadmlError
from tests.services import intake_over
from tests.unit.duplicates.cleaning import Cleaning, Edges
from tests.unit.duplicates.planted import body, content, library, moved, part, scaled, several

SIZE = 60


def truth(seed: int) -> tuple[list[NewPart], Edges]:
    """Parts of a library with the pairs that were planted."""
    made = list(library(SIZE, 0.4, seed))
    return [one for one, _ in made], {(frozenset((one.id or "", of[0])), of[1]) for one, of in made if of}


def test_every_planted_pair_is_found_with_its_kind_and_no_other(cleaning: Cleaning) -> None:
    """Moved, mirrored, scaled, multiplied and built-in copies, each with a certificate."""
    parts, planted = truth(1)
    cleaning.add(*parts)
    assert cleaning.run() == SIZE
    assert cleaning.edges() == planted


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 5))
def test_order_and_steps_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
) -> None:
    """Parts that arrive in any order, with runs between them, end in the pairs of one run over all."""
    parts, planted = truth(seed)
    random.Random(seed).shuffle(parts)
    with Catalog.open(f"sqlite:///{tmp_path_factory.mktemp('order') / 'c.sqlite3'}") as catalog:
        cleaning = Cleaning(catalog)
        for step in range(steps):
            cleaning.add(*parts[step::steps])
            assert cleaning.run() == len(parts[step::steps])
        assert cleaning.edges() == planted


def test_a_run_compares_what_is_new_only(cleaning: Cleaning) -> None:
    """Nothing new costs nothing; a part more, one comparison for each that may be the same."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(part(one, "a"), part(body(generator), "b"))
    cleaning.run()
    assert cleaning.finder.run().total == 0
    cleaning.add(part(moved(one, generator), "c"))
    run = cleaning.finder.run()
    assert (run.total, run.done, run.pairs, run.links) == (1, 1, 1, 1)


def test_runs_are_counted_in_the_metrics(cleaning: Cleaning) -> None:
    """Runs by how they ended, and the pairs that they compared."""
    generator = np.random.default_rng(0)
    one = body(generator)
    before = total("duplicate_runs_total", status="completed"), total("duplicate_pairs_total")
    cleaning.add(part(one, "a"), part(moved(one, generator), "b"))
    cleaning.run()
    after = total("duplicate_runs_total", status="completed"), total("duplicate_pairs_total")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def total(name: str, **labels: str) -> float:
    """The value of a counter."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_large_group_costs_one_comparison_a_member(cleaning: Cleaning) -> None:
    """Whatever is the same as a part is compared with that part only, and its group is one."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(*(part(moved(one, generator), f"copy {number}") for number in range(80)))
    run = cleaning.finder.run()
    assert run.pairs == 79
    [group] = cleaning.groups()
    assert (group.kind, group.size, len(group.edges)) == ("same", 80, 79)


def test_a_chain_of_near_matches_is_no_group(cleaning: Cleaning) -> None:
    """Each differs from the next within the tolerance, the ends by more: not all are in one group."""
    generator = np.random.default_rng(4)
    one = body(generator)
    points = one.features.points
    chain = []
    for step in range(7):
        shifted = points.copy()
        shifted[3] += step * 0.8e-4 * one.invariants.whole.length * np.array([1.0, 0.0, 0.0])
        chain.append(
            part(one._replace(features=msgspec.structs.replace(one.features, points=shifted)), f"c{step}")
        )
    cleaning.add(*chain)
    cleaning.run()
    for group in cleaning.groups():
        if group.kind != "same":
            continue
        certified = {frozenset((edge.a, edge.b)) for edge in group.edges if edge.via is None}
        members = [one.id for one in group.parts]
        assert any(
            all(frozenset((middle, other)) in certified for other in members if other != middle)
            for middle in members
        )
        assert len(members) < len(chain)


def test_copies_of_one_file_are_one_group(cleaning: Cleaning) -> None:
    """Equal bytes need no comparison, and are counted beyond the list."""
    one = content(body(np.random.default_rng(0)), "one file")
    cleaning.add(*(NewPart(id=f"{number}", content=one) for number in range(1_200)))
    assert cleaning.run() == 1
    [group] = cleaning.groups()
    assert (group.kind, group.size, len(group.parts)) == ("identical", 1_200, 1_000)
    assert {edge.evidence for edge in group.edges} == {"bytes"}
    listed = {part.id for part in group.parts}
    assert all({edge.a, edge.b} <= listed for edge in group.edges)


def test_parts_without_volume_are_compared_by_their_bytes_only(cleaning: Cleaning) -> None:
    """Drawings and open surfaces are in no group but that of equal files."""
    flat = content(body(np.random.default_rng(0)), "flat")
    empty = msgspec.structs.replace(flat, document=CadDocument(format="dxf", invariants=None))
    cleaning.add(NewPart(id="a", content=empty), NewPart(id="b", content=empty))
    assert cleaning.run() == 1
    assert [group.kind for group in cleaning.groups()] == ["identical"]


def test_meshes_that_may_be_the_same_are_candidates(cleaning: Cleaning) -> None:
    """Nobody has compared them: they are not certified, and a run that reads meshes asks again."""
    one = body(np.random.default_rng(0))
    whole = msgspec.structs.replace(one.invariants.whole, volume=one.invariants.whole.volume * 1.002)
    mesh = msgspec.structs.replace(one.invariants, whole=whole, bodies=(), exact=False)
    cleaning.add(part(one, "a"), part(one._replace(invariants=mesh), "b"))
    cleaning.run()
    [group] = cleaning.groups()
    assert (group.kind, [edge.certified for edge in group.edges]) == ("same_within_mesh_error", [False])
    assert cleaning.finder.run(meshes=True).done == 2
    [group] = cleaning.groups()
    assert not group.edges[0].certified
    assert "no format adapter 'step' is installed" in (Links(cleaning.catalog).all()[0].relation.reason or "")
    assert cleaning.finder.run(meshes=True).done == 0


def test_what_a_removed_part_stood_for_is_compared_again(cleaning: Cleaning) -> None:
    """Two copies of a part that is gone are still found to be the same."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(*(part(moved(one, generator), name) for name in "abc"))
    cleaning.run()
    [group] = cleaning.groups()
    middle = next(edge.via for edge in group.edges if edge.via)
    cleaning.catalog.remove(middle)
    cleaning.run()
    assert cleaning.members() == [set("abc") - {middle}]


def test_a_changed_file_is_compared_again(cleaning: Cleaning) -> None:
    """A part whose file changes leaves the group of what it was."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(part(one, "a"), part(moved(one, generator), "b"))
    cleaning.run()
    cleaning.add(NewPart(id="b", path="/parts/b.step", content=content(body(generator), "other")))
    assert cleaning.run() == 2
    assert cleaning.groups() == []


def test_a_content_that_is_read_otherwise_is_compared_again(cleaning: Cleaning) -> None:
    """A newer reader may find other features in the same bytes."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(part(one, "a"), part(moved(one, generator), "b"))
    cleaning.run()
    newer = msgspec.structs.replace(content(body(generator), "b"), adapter_version="2")
    cleaning.add(NewPart(id="b", path="/parts/b.step", content=newer))
    cleaning.run()
    assert cleaning.groups() == []


def test_a_cancelled_run_keeps_what_it_has_and_the_next_goes_on(cleaning: Cleaning) -> None:
    """It stops after what it writes next, and the next compares the rest only."""
    parts, planted = truth(2)
    cleaning.add(*parts)
    run = cleaning.finder.run(meshes=False, started=lambda run: void(cleaning.finder.cancel(run)))
    assert run.status in ("cancelled", "completed")
    assert run.done + cleaning.run() == SIZE
    assert cleaning.edges() == planted


def void(_: object) -> None:
    """Drop a result."""


def test_one_run_at_a_time(cleaning: Cleaning) -> None:
    """Another process, or another runtime in this one, is refused while a run works."""
    with exclusive(cleaning.catalog.database, STAGE) as held:
        assert held
        with pytest.raises(CadmlError) as refused:
            cleaning.run()
    assert refused.value.code == "DUPLICATES_CONFLICT"
    assert cleaning.finder.runs() == []


def test_an_interrupted_run_shows_as_such(tmp_path: Path) -> None:
    """An error in the middle leaves the journal honest and what was written in place."""
    with Catalog.open(f"sqlite:///{tmp_path / 'c.sqlite3'}") as catalog:
        finder = DuplicateFinder(intake_over(catalog, {}))
        catalog.add([part(body(np.random.default_rng(0)), "a")])

        def fail(done: int, total: int) -> None:
            raise RuntimeError("the power went out")

        with pytest.raises(RuntimeError):
            finder.run(progress=fail)
        assert [run.status for run in finder.runs()] == ["interrupted"]
        assert finder.run(meshes=False).status == "completed"


def test_a_body_in_many_assemblies_is_one_group_around_it(cleaning: Cleaning) -> None:
    """The group of what holds a body names the body first."""
    generator = np.random.default_rng(0)
    bolt = body(generator)
    holders = [several([bolt, body(generator)], [0, 1]) for _ in range(5)]
    cleaning.add(part(bolt, "bolt"), *(part(one, f"assembly {n}") for n, one in enumerate(holders)))
    cleaning.run()
    [group] = cleaning.groups()
    assert (group.kind, group.lead, group.size) == ("contains", "bolt", 6)


def test_sizes_of_one_shape_are_one_group(cleaning: Cleaning) -> None:
    """Each size is compared with one other only, with its factor."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(*(part(scaled(one, float(factor)), f"{factor}") for factor in (1, 2, 3, 5)))
    run = cleaning.finder.run(meshes=False)
    [group] = cleaning.groups()
    assert (group.kind, group.size, run.pairs) == ("scaled", 4, 3)
