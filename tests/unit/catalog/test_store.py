"""The catalogue keeps parts, contents, vectors and changes together, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from cadml_core.catalog.counts import count_vectors
from cadml_core.catalog.feature_lists import feature_lists
from cadml_core.catalog.records import Content, NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.feature_list import FeatureList, encode_features
from cadml_core.errors import CatalogueUnavailable, InvalidInput, NotFound

MakeContent = Callable[..., Content]


def vector(*values: float) -> Vector:
    """An extracted vector of these values."""
    return Vector(np.array(values))


class TestAdding:
    """Adding, replacing and removing."""

    def test_gives_back_what_was_stored(self, catalog: Catalog, content: MakeContent) -> None:
        """Facts, document summary and raw values come back exactly, to the last bit."""
        values = np.array([0.1, 1e-300, -0.0, 1.7976931348623157e308, 1 / 3])
        new = NewPart(
            id="bracket",
            name="Bracket 4 – größer",
            path="/parts/bracket.step",
            content=content("a"),
            material="steel",
            project="crane",
            label="brackets",
            meta={"weight": 1.5, "tags": ["x"]},
            vectors={"v4": Vector(values)},
        )
        [outcome] = catalog.add([new])
        part = catalog.part("bracket")
        assert (outcome.status, outcome.id, outcome.row) == ("added", "bracket", part.row)
        assert (part.name, part.path, part.format) == (new.name, new.path, "step")
        assert (part.material, part.project, part.label) == ("steel", "crane", "brackets")
        assert part.meta == {"weight": 1.5, "tags": ["x"]}
        assert catalog.vector("bracket", "v4").values.tobytes() == values.tobytes()
        assert catalog.contents([content("a").sha256])[content("a").sha256] == content("a")

    def test_keeps_a_feature_list_with_its_content(self, catalog: Catalog, content: MakeContent) -> None:
        """It is written in the same transaction, replaced when the content is read anew, and goes with it."""
        empty, none = np.empty((0, 3)), np.empty(0)
        features = FeatureList(
            np.array([1, 0], np.uint8),
            np.array([0, -1], np.int32),
            *(np.eye(3)[:2], np.ones(2), np.zeros(2), np.zeros(2), np.zeros((2, 6)), (1.0, 2.0, 3.0)),
            *(none.astype(np.int32), empty),
        )
        listed = msgspec.structs.replace(content("a"), features=encode_features(features))
        catalog.add([NewPart(id="p", content=listed), NewPart(id="q", content=content("b"))])
        hashes = [content("a").sha256, content("b").sha256]
        assert feature_lists(catalog, hashes) == {hashes[0]: features}
        assert catalog.contents(hashes)[hashes[0]] == content("a")
        catalog.add([NewPart(id="p", content=content("a", adapter_version="2"))])
        assert feature_lists(catalog, hashes) == {}
        again = msgspec.structs.replace(listed, adapter_version="3")
        catalog.add([NewPart(id="p", content=again)])
        catalog.remove("p")
        assert feature_lists(catalog, hashes) == {}

    def test_makes_up_an_id_and_a_name(self, catalog: Catalog, content: MakeContent) -> None:
        """A part needs neither: the id is made up, the name is that of the file."""
        one, two = catalog.add([NewPart(path="/a/x.stp", content=content("a")), NewPart(path="/a/y.stp")])
        assert one.id != two.id
        assert catalog.part(one.id).name == "x.stp"

    def test_the_same_again_is_unchanged(self, catalog: Catalog, content: MakeContent) -> None:
        """Adding what is there already writes nothing: no change number, no new time."""
        new = NewPart(path="/a/x.stp", content=content("a"), label="l", vectors={"v1": vector(1, 2)})
        [first] = catalog.add([new])
        before, change = catalog.part(first.id), catalog.last_change()
        assert catalog.add([new])[0].status == "unchanged"
        assert catalog.part(first.id) == before
        assert catalog.last_change() == change

    def test_another_content_at_the_same_path_replaces(self, catalog: Catalog, content: MakeContent) -> None:
        """The part keeps its id and row; its old content and all old vectors are gone."""
        [first] = catalog.add(
            [NewPart(path="/x", content=content("a"), vectors={"v1": vector(1), "v2": vector(2)})]
        )
        [second] = catalog.add([NewPart(path="/x", content=content("b"), vectors={"v1": vector(3)})])
        assert (second.id, second.row, second.status) == (first.id, first.row, "replaced")
        assert catalog.versions_of([first.row]) == {first.row: {"v1"}}
        assert catalog.vector(first.id, "v1").values.tolist() == [3.0]
        assert catalog.contents([content("a").sha256]) == {}

    def test_two_parts_share_one_content(self, catalog: Catalog, content: MakeContent) -> None:
        """One content row serves both; it goes when the last of them goes."""
        one, two = catalog.add([NewPart(path=path, content=content("a")) for path in ("/x", "/y")])
        sha256 = content("a").sha256
        assert [part.row for part in catalog.parts_by_sha256(sha256)] == [one.row, two.row]
        catalog.remove(one.id)
        assert sha256 in catalog.contents([sha256])
        catalog.remove(two.id)
        assert catalog.contents([sha256]) == {}

    def test_a_newer_reader_renews_every_part_of_the_content(
        self, catalog: Catalog, content: MakeContent
    ) -> None:
        """Values read by a newer adapter reach all parts that share the content, not registered ones."""
        old = content("a")
        one, two, three = catalog.add(
            [NewPart(path=path, content=old, vectors={"v1": vector(1)}) for path in ("/x", "/y", "/z")]
        )
        catalog.register_vector(three.id, "v1", np.array([7.0]))
        newer = content("a", adapter_version="2")
        catalog.add([NewPart(path="/x", content=newer, vectors={"v1": vector(5)})])
        assert [catalog.vector(part.id, "v1").values.tolist() for part in (one, two, three)] == [
            [5.0],
            [5.0],
            [7.0],
        ]
        assert catalog.contents([old.sha256])[old.sha256].adapter_version == "2"

    def test_of_a_repeated_part_the_last_wins(self, catalog: Catalog, content: MakeContent) -> None:
        """One batch may name a part twice; it is added once, as the last record says."""
        one, two = catalog.add(
            [
                NewPart(path="/x", content=content("a"), label="first", vectors={"v1": vector(1)}),
                NewPart(path="/x", content=content("b"), label="second", vectors={"v1": vector(2)}),
            ]
        )
        assert one.row == two.row
        assert catalog.part(one.id).label == "second"
        assert catalog.vector(one.id, "v1").values.tolist() == [2.0]

    def test_parts_may_exchange_their_paths(self, catalog: Catalog) -> None:
        """Two files renamed into one another's names keep their ids."""
        one, two = catalog.add([NewPart(path="/x"), NewPart(path="/y")])
        with pytest.raises(InvalidInput, match="remove one first"):
            catalog.add([NewPart(id=one.id, path="/y")])
        catalog.add(
            [
                NewPart(id=one.id, path="/spare"),
                NewPart(id=two.id, path="/x"),
                NewPart(id=one.id, path="/y"),
            ]
        )
        assert (catalog.part(one.id).path, catalog.part(two.id).path) == ("/y", "/x")

    def test_a_bad_record_spoils_the_batch_and_nothing_else(
        self, catalog: Catalog, content: MakeContent
    ) -> None:
        """Nothing is half-stored: with one bad vector, not even the good parts before it are there."""
        catalog.add([NewPart(id="before")])
        change = catalog.last_change()
        good = NewPart(id="good", content=content("a"), vectors={"v1": vector(1)})
        for bad in ([np.nan], [np.inf], [], [[1.0]]):
            with pytest.raises(InvalidInput):
                catalog.add([good, NewPart(id="bad", vectors={"v1": Vector(np.array(bad))})])
        assert [part.id for part in catalog.parts()] == ["before"]
        assert catalog.contents([content("a").sha256]) == {}
        assert catalog.last_change() == change

    @pytest.mark.parametrize("text", ["a\0b", "a\udcff", "  "])
    def test_refuses_ids_that_are_no_text(self, catalog: Catalog, text: str) -> None:
        """A NUL, a lone surrogate or a blank id is refused before any database sees it."""
        with pytest.raises(InvalidInput, match="id"):
            catalog.add([NewPart(id=text)])

    @pytest.mark.parametrize("meta", [{"a": "\udcff"}, {"a": object()}])
    def test_refuses_meta_that_is_no_json(self, catalog: Catalog, meta: dict[str, object]) -> None:
        """What cannot be written as JSON is the caller's mistake."""
        with pytest.raises(InvalidInput, match="meta"):
            catalog.add([NewPart(id="a", meta=meta)])

    def test_no_question_is_asked_with_what_is_no_text(self, catalog: Catalog) -> None:
        """Reading with such an id is the caller's mistake too, and no fault of the database."""
        for text in ("a\0b", "a\udcff"):
            with pytest.raises(InvalidInput, match="cannot be stored"):
                catalog.part(text)
            with pytest.raises(InvalidInput, match="cannot be stored"):
                catalog.parts(PartFilter(label=text))

    def test_takes_large_batches(self, catalog: Catalog) -> None:
        """Batches beyond any limit on query parameters work."""
        batch = [NewPart(id=f"p{i}", path=f"/{i}", vectors={"v1": vector(i)}) for i in range(6_000)]
        assert {outcome.status for outcome in catalog.add(batch)} == {"added"}
        assert {outcome.status for outcome in catalog.add(batch)} == {"unchanged"}
        rows, values = catalog.vectors("v1", range(1, 6_001))
        assert (values[:, 0] == rows - 1).all()


class TestReading:
    """Questions."""

    def test_pages_by_cursor(self, catalog: Catalog) -> None:
        """Pages follow row numbers, so parts added or removed meanwhile neither repeat nor hide others."""
        catalog.add([NewPart(id=f"p{i}") for i in range(5)])
        first = catalog.parts(limit=2)
        catalog.remove("p0")
        catalog.add([NewPart(id="p5")])
        second = catalog.parts(after=first[-1].row, limit=10)
        assert [part.id for part in first + second] == ["p0", "p1", "p2", "p3", "p4", "p5"]

    def test_filters_are_exact_and_joined_by_and(self, catalog: Catalog, content: MakeContent) -> None:
        """Only parts that fit every given field are meant; quotes and percent signs are just text."""
        catalog.add(
            [
                NewPart(id="a", material="steel", project="x", content=content("1")),
                NewPart(id="b", material="steel", project="it's 50%"),
                NewPart(id="c", material="Steel", project="x", content=content("2", form="stl")),
            ]
        )

        def ids(which: PartFilter) -> list[str]:
            assert [part.row for part in catalog.parts(which)] == catalog.rows(which).tolist()
            return [part.id for part in catalog.parts(which)]

        assert ids(PartFilter(material="steel")) == ["a", "b"]
        assert ids(PartFilter(material="steel", project="it's 50%")) == ["b"]
        assert ids(PartFilter(format="stl")) == ["c"]
        assert ids(PartFilter(label="none")) == []

    def test_bulk_vectors_come_in_ascending_rows(self, catalog: Catalog) -> None:
        """All, or those of some rows; rows without a vector of that version are left out."""
        catalog.add(
            [NewPart(id=f"p{i}", vectors={"v1": vector(i, -i)} if i != 2 else {}) for i in range(1, 5)]
        )
        rows, values = catalog.vectors("v1")
        assert rows.tolist() == [1, 3, 4]
        assert values.tolist() == [[1, -1], [3, -3], [4, -4]]
        rows, values = catalog.vectors("v1", [4, 2, 1, 99])
        assert rows.tolist() == [1, 4]
        assert catalog.vectors("v9")[0].shape == (0,)
        assert count_vectors(catalog) == {"v1": 3}

    def test_unknown_things_are_not_found(self, catalog: Catalog) -> None:
        """The message says what is missing, and which versions a part does have."""
        catalog.add([NewPart(id="a", vectors={"v1": vector(1)})])
        with pytest.raises(NotFound, match="'nobody'"):
            catalog.part("nobody")
        with pytest.raises(NotFound, match="'nobody'"):
            catalog.remove("nobody")
        with pytest.raises(NotFound, match="it has: v1"):
            catalog.vector("a", "v4")

    def test_vectors_of_different_lengths_are_damage(self, catalog: Catalog) -> None:
        """A version has one length; where a database says otherwise, no search is built on it."""
        catalog.add(
            [NewPart(id="a", vectors={"v1": vector(1, 2)}), NewPart(id="b", vectors={"v1": vector(1)})]
        )
        with pytest.raises(CatalogueUnavailable, match="different lengths"):
            catalog.vectors("v1")


class TestChanges:
    """The change log."""

    def test_each_thing_appears_once_with_its_latest_number(self, catalog: Catalog) -> None:
        """The log does not grow with every change of the same part."""
        one, two = catalog.add([NewPart(id="a"), NewPart(id="b")])
        seen = catalog.last_change()
        catalog.add([NewPart(id="a", label="x")])
        catalog.add([NewPart(id="a", label="y")])
        catalog.remove("b")
        changes = catalog.changes_since(seen)
        assert [(change.kind, change.key) for change in changes] == [
            ("part", str(one.row)),
            ("part", str(two.row)),
        ]
        assert changes[-1].sequence == catalog.last_change()
        assert len(catalog.changes_since(0)) == 2

    def test_row_numbers_are_never_used_again(self, catalog: Catalog) -> None:
        """A removed part's number stays its own, so a stale index cannot mistake another for it."""
        [one] = catalog.add([NewPart(id="a")])
        catalog.remove("a")
        [two] = catalog.add([NewPart(id="a")])
        assert two.row > one.row

    def test_a_follower_misses_nothing_while_many_write(self, catalog: Catalog) -> None:
        """Numbers follow commit order: whoever reads up to n has seen all that is numbered up to n."""
        done = threading.Event()
        seen: set[str] = set()

        def follow() -> None:
            applied, last = 0, False
            while not last:
                last = done.is_set()
                newest = catalog.last_change()
                seen.update(change.key for change in catalog.changes_since(applied))
                applied = newest

        def write(worker: int) -> None:
            for number in range(15):
                catalog.add([NewPart(id=f"{worker}-{number}")])

        with ThreadPoolExecutor(5) as threads:
            follower = threads.submit(follow)
            list(threads.map(write, range(4)))
            done.set()
            follower.result()
        assert seen == {str(part.row) for part in catalog.parts()}
        assert len(seen) == 60
        assert catalog.last_change() == 60


def test_closed_is_closed(sqlite_url: str) -> None:
    """After closing, the catalogue says so; closing twice is allowed."""
    catalog = Catalog.open(sqlite_url)
    catalog.close()
    catalog.close()
    with pytest.raises(CatalogueUnavailable, match="closed"):
        catalog.last_change()
