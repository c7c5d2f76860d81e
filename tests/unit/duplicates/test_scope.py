"""Which parts and groups count: folders, projects, formats, materials, kinds."""

from __future__ import annotations

from typing import Any

import numpy as np

from cadml_core.catalog.records import NewPart
from cadml_core.duplicates.page import page
from cadml_core.duplicates.report import report
from cadml_core.duplicates.scope import Scope
from tests.unit.duplicates.cleaning import Cleaning
from tests.unit.duplicates.planted import Body, body, content, moved, part, scaled

RNG = np.random.default_rng


def placed(one: Body, path: str, form: str = "step", **facts: Any) -> NewPart:
    """A part at a path."""
    return NewPart(
        id=path.strip("/").replace("/", "_"), path=path, content=content(one, path, form=form), **facts
    )


def test_a_folder_is_its_own_files_only(cleaning: Cleaning) -> None:
    """Not those of a folder whose name begins alike; what is proved through a file elsewhere still holds."""
    generator = RNG(0)
    one = body(generator)
    paths = ["/a/1.step", "/a/2.step", "/ab/3.step", "/c/4.step"]
    cleaning.add(*(placed(moved(one, generator), path) for path in paths))
    cleaning.run()
    [whole] = cleaning.groups()
    assert whole.size == 4
    [inside] = cleaning.groups(Scope(folder="/a"))
    assert {part.path for part in inside.parts} == set(paths[:2])
    assert all(edge.certified for edge in inside.edges)
    assert len(inside.edges) == 1
    assert cleaning.groups(Scope(folder="/c")) == []


def test_projects_and_materials(cleaning: Cleaning) -> None:
    """Unknown material is one of its own; a group within one project can be left out."""
    generator = RNG(0)
    one = body(generator)
    facts = [("steel", "x"), ("steel", "x"), ("brass", "y"), ("", "y")]
    for number, (material, project) in enumerate(facts):
        given = {"material": material, "project": project}
        given = {name: value for name, value in given.items() if value}
        cleaning.add(placed(moved(one, generator), f"/p/{number}.step", **given))
    cleaning.run()
    [agreeing] = cleaning.groups(Scope(same_material=True))
    assert {part.material for part in agreeing.parts} == {"steel"}
    assert cleaning.groups(Scope(same_material=True, across_projects=True)) == []
    assert cleaning.groups(Scope(across_projects=True))[0].size == 4
    assert cleaning.groups(Scope(project="x"))[0].size == 2
    assert cleaning.groups(Scope(project="x", across_projects=True)) == []


def test_formats_and_switches(cleaning: Cleaning) -> None:
    """Two formats mean across both; mirror images and other sizes can be left out."""
    generator = RNG(0)
    one, other = body(generator), body(generator)
    cleaning.add(
        placed(one, "/1.step"),
        placed(moved(one, generator), "/2.igs", form="iges"),
        placed(moved(one, generator, mirror=True), "/3.step"),
        placed(other, "/4.step"),
        placed(scaled(other, 2.0), "/5.step"),
    )
    cleaning.run()
    kinds = [one.kind for one in cleaning.groups()]
    assert kinds == ["same", "mirrored", "scaled"]
    assert [one.kind for one in cleaning.groups(Scope(mirror=False, scale=False))] == ["same"]
    assert [one.kind for one in cleaning.groups(Scope(kinds=("scaled",)))] == ["scaled"]
    across = cleaning.groups(Scope(formats=("step", "iges")))
    assert [one.kind for one in across] == ["same", "mirrored"]
    assert [one.kind for one in cleaning.groups(Scope(formats=("iges",)))] == []


def test_the_mirrored_group_lists_the_copies_of_both_hands(cleaning: Cleaning) -> None:
    """Left and right stand against each other, each with what is the same as it."""
    generator = RNG(0)
    one = body(generator)
    cleaning.add(
        *(part(moved(one, generator, mirror=name.startswith("r")), name) for name in ("l1", "l2", "r1"))
    )
    cleaning.run()
    same, mirrored = cleaning.groups()
    assert {part.id for part in same.parts} == {"l1", "l2"}
    assert {part.id for part in mirrored.parts} == {"l1", "l2", "r1"}
    [proved, through] = [edge for edge in mirrored.edges if edge.kind == "mirrored"]
    assert (proved.via, through.via) == (None, proved.a if proved.a != "r1" else proved.b)
    assert {through.a, through.b} | {proved.a, proved.b} == {"l1", "l2", "r1"}
    assert (through.tolerance or 0.0) > (proved.tolerance or 0.0)


def test_a_report_counts_what_it_does_not_list(cleaning: Cleaning) -> None:
    """Pages of groups, and a page of HTML that says how many there are."""
    generator = RNG(0)
    for number in range(5):
        one = body(generator)
        cleaning.add(part(one, f"{number}a"), part(moved(one, generator), f"{number}b"))
    cleaning.run()
    first = report(cleaning.catalog, Scope(), None, waiting=0, limit=2)
    last = report(cleaning.catalog, Scope(), None, waiting=0, after=4, limit=2)
    assert (first.counts, len(first.groups), len(last.groups)) == ({"same": 5}, 2, 1)
    assert not {one.id for one in first.groups} & {one.id for one in last.groups}
    assert "<td class='n'>5</td>" in page(first)
