"""What people decide holds for contents: it splits groups, survives, and is not overwritten by accident."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.decisions import Decision, pair_of
from cadml_core.duplicates.exchange import read_decisions, write_decisions
from cadml_core.duplicates.groups import Group, group
from cadml_core.duplicates.links import Link
from cadml_core.duplicates.scope import Scope
from cadml_core.errors import CadmlError, InvalidInput, NotFound
from cadml_core.relations.relation import Relation
from tests.unit.duplicates.cleaning import Cleaning
from tests.unit.duplicates.planted import body, content, moved, part

SAME = Relation("same", "features", tolerance_mm=0.01)


def copies(cleaning: Cleaning, names: str = "abc") -> None:
    """Fill a catalogue with copies of one part."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(*(part(moved(one, generator), name) for name in names))
    cleaning.run()


def decide(cleaning: Cleaning, a: str, b: str, verdict: str, by: str = "Ada", **options: bool) -> Decision:
    """Decide about two parts."""
    pair = cleaning.part(a), cleaning.part(b)
    return cleaning.decisions.decide(*pair, verdict, by=by, **options)  # type: ignore[arg-type]


def test_a_pair_that_is_different_is_in_no_group_together(cleaning: Cleaning) -> None:
    """The third part is still proposed with each of them, also after the next run."""
    copies(cleaning)
    decide(cleaning, "a", "b", "different")
    for _ in range(2):
        assert all(not {"a", "b"} <= members for members in cleaning.members())
        assert set().union(*cleaning.members()) == set("abc")
        cleaning.run()
    cleaning.decisions.withdraw(cleaning.part("b"), cleaning.part("a"))
    assert cleaning.members() == [set("abc")]
    with pytest.raises(NotFound):
        cleaning.decisions.withdraw(cleaning.part("a"), cleaning.part("b"))


def test_a_decision_outlives_its_parts(cleaning: Cleaning) -> None:
    """The same content may come back under another name."""
    copies(cleaning, "ab")
    decide(cleaning, "a", "b", "different")
    kept = cleaning.part("b")
    generator = np.random.default_rng(0)
    one = body(generator)
    again = [part(moved(one, generator), name) for name in "ab"][1]
    cleaning.catalog.remove("b")
    cleaning.run()
    assert again.content is not None
    assert again.content.sha256 == kept.sha256
    cleaning.add(NewPart(id="new", path="/elsewhere/b.step", content=again.content))
    cleaning.run()
    assert cleaning.groups() == []


def test_a_changed_file_is_open_again(cleaning: Cleaning) -> None:
    """What was decided was about another content."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(part(one, "a"), part(moved(one, generator), "b"))
    cleaning.run()
    decide(cleaning, "a", "b", "different")
    changed = NewPart(id="b", path="/parts/b.step", content=content(moved(one, generator), "b edited"))
    cleaning.add(changed)
    cleaning.run()
    assert cleaning.members() == [{"a", "b"}]


def test_copies_of_one_file_may_be_meant(cleaning: Cleaning) -> None:
    """A decision about two copies is about all of them, as nothing tells them apart."""
    one = content(body(np.random.default_rng(0)), "one file")
    cleaning.add(NewPart(id="a", content=one), NewPart(id="b", content=one))
    decide(cleaning, "a", "b", "different")
    assert cleaning.groups() == []


def test_what_is_decided_is_not_shown_again(cleaning: Cleaning) -> None:
    """Unless one asks for it."""
    copies(cleaning, "ab")
    decide(cleaning, "a", "b", "duplicate")
    assert cleaning.groups() == []
    [shown] = cleaning.groups(Scope(decided=True))
    assert (shown.decided, shown.edges[0].decision) == (True, "duplicate")


def test_a_group_is_decided_when_decisions_cover_it(cleaning: Cleaning) -> None:
    """Two of three pairs are enough, whichever were compared; one leaves the third part open."""
    copies(cleaning)
    decide(cleaning, "a", "b", "duplicate")
    assert [one.decided for one in cleaning.groups()] == [False]
    decide(cleaning, "c", "b", "duplicate")
    assert cleaning.groups() == []
    assert [one.decided for one in cleaning.groups(Scope(decided=True))] == [True]


def test_people_may_know_what_nothing_proves(cleaning: Cleaning) -> None:
    """A pair that was decided to be one part is a group, but no edge of it is certified."""
    generator = np.random.default_rng(0)
    cleaning.add(part(body(generator), "a"), part(body(generator), "b"))
    cleaning.run()
    decide(cleaning, "a", "b", "duplicate")
    [shown] = cleaning.groups(Scope(decided=True))
    assert (shown.kind, [edge.certified for edge in shown.edges]) == ("similar", [False])


def test_nobody_overwrites_another_by_accident(cleaning: Cleaning) -> None:
    """Two people at once: the second is told who was first; the same person may change their mind."""
    copies(cleaning, "ab")
    decide(cleaning, "a", "b", "duplicate", by="Ada")
    with pytest.raises(CadmlError, match="Ada has decided 'duplicate'") as refused:
        decide(cleaning, "a", "b", "different", by="Bob")
    assert refused.value.code == "DECISION_CONFLICT"
    assert decide(cleaning, "b", "a", "different", by="Ada").verdict == "different"
    assert decide(cleaning, "a", "b", "duplicate", by="Bob", replace=True).by == "Bob"
    assert len(cleaning.decisions.all()) == 1


def test_what_cannot_be_decided_is_refused(cleaning: Cleaning) -> None:
    """One part, a part without a file, a part that is gone, a note that cannot be stored."""
    copies(cleaning, "ab")
    cleaning.catalog.register_vector("vector", "v1", np.zeros(7))
    with pytest.raises(InvalidInput, match="one part"):
        decide(cleaning, "a", "a", "different")
    with pytest.raises(NotFound, match="without a file"):
        decide(cleaning, "a", "vector", "different")
    with pytest.raises(NotFound):
        decide(cleaning, "a", "gone", "different")
    with pytest.raises(InvalidInput, match="by:"):
        decide(cleaning, "a", "b", "different", by="\0")


def test_the_last_chosen_part_leads(cleaning: Cleaning) -> None:
    """Also where another of its group was chosen before, and among copies of one file."""
    one = content(body(np.random.default_rng(0)), "one file")
    cleaning.add(*(NewPart(id=name, content=one) for name in "abc"))
    assert cleaning.groups()[0].lead == "a"
    for name in "cb":
        cleaning.decisions.choose_lead(cleaning.part(name), by="Ada")
        assert cleaning.groups()[0].lead == name


def test_rules_choose_the_lead(cleaning: Cleaning) -> None:
    """More facts lead before age, a preferred folder before both."""
    generator = np.random.default_rng(0)
    one = body(generator)
    cleaning.add(
        part(one, "old"),
        part(moved(one, generator), "known", material="steel", project="x"),
        NewPart(id="kept", path="/released/kept.step", content=content(moved(one, generator), "kept")),
    )
    cleaning.run()
    assert cleaning.groups()[0].lead == "known"
    assert cleaning.groups(Scope(prefer="/released"))[0].lead == "kept"
    assert cleaning.groups(Scope(prefer="/rel"))[0].lead == "known"


def test_decisions_travel_as_csv(cleaning: Cleaning, database_url: str) -> None:
    """Everything comes back, hostile notes too; of two about one pair the later holds."""
    copies(cleaning)
    first = decide(cleaning, "a", "b", "different", by="=1+1")
    note = "'quoted', \"twice\"\nand @formula"
    cleaning.decisions.decide(cleaning.part("b"), cleaning.part("c"), "duplicate", note=note, by="Ada")
    cleaning.decisions.choose_lead(cleaning.part("c"), by="Ada")
    stream = io.StringIO(newline="")
    assert write_decisions(stream, cleaning.catalog) == 3
    before = cleaning.decisions.all(), cleaning.decisions.leads()
    decide(cleaning, "a", "b", "duplicate", by="=1+1")
    later = cleaning.decisions.all()[first.a, first.b]
    stream.seek(0)
    taken, older = read_decisions(stream, cleaning.catalog)
    now = cleaning.decisions.all()[first.a, first.b]
    assert (taken, older) == ((2, 1) if later.at > first.at else (3, 0))
    assert now == (later if later.at > first.at else first)
    with Catalog.open("sqlite:///" + str(_fresh())) as other:
        stream.seek(0)
        assert read_decisions(stream, other) == (3, 0)
        copied = Cleaning(other)
        assert (copied.decisions.all(), copied.decisions.leads()) == before


def _fresh() -> str:
    import tempfile
    from pathlib import Path

    return str(Path(tempfile.mkdtemp()) / "c.sqlite3")


NAMES = [letter * 64 for letter in "abcdefgh"]
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] < pair[1])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(linked=st.sets(PAIRS, max_size=16), apart=st.sets(PAIRS, max_size=6))
def test_groups_hold_what_is_proved_and_lose_nothing(
    linked: set[tuple[str, str]], apart: set[tuple[str, str]]
) -> None:
    """In each group every content is proved against one; none holds a pair that was decided to be
    different; and every proof that nobody contradicts is in some group, or both its ends are."""
    decided = {pair: Decision(*pair, "different") for pair in apart}
    found = group([Link(a, b, SAME) for a, b in sorted(linked)], decided)
    assert len({one.id for one in found}) == len(found)
    for one in found:
        check(one, linked, apart)
    covered = {sha256 for one in found for sha256 in one.contents}
    for pair in linked - apart:
        assert set(pair) <= covered


def check(one: Group, linked: set[tuple[str, str]], apart: set[tuple[str, str]]) -> None:
    """Require one group to be a star of proofs."""
    others = one.contents[1:]
    assert others
    assert len(set(one.contents)) == len(one.contents)
    assert all(pair_of(one.middle, other) in linked for other in others)
    assert not {pair_of(a, b) for a in one.contents for b in one.contents} & apart
    assert {pair_of(link.a, link.b) for link in one.links} <= linked
