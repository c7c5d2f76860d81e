"""Parts are found by words, by size, and what could not be read is remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml_core.catalog import schema
from cadml_core.catalog.engine import parse_url
from cadml_core.catalog.records import Content, NewPart, PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.text import fold, words_of
from cadml_core.catalog.unread import UnreadFiles
from cadml_core.documents.document import BoundingBox, encode_summary

MakeContent = Callable[..., Content]


def named(content: Content, *layers: str, **properties: str) -> Content:
    """The same content with layers and properties."""
    document = msgspec.structs.replace(content.document, layers=layers, properties=properties)
    return msgspec.structs.replace(content, document=document)


def ids(catalog: Catalog, text: str) -> list[str]:
    """Ids of the parts that have these words, which rows and parts agree on."""
    which = PartFilter(text=text)
    found = catalog.parts(which)
    assert catalog.rows(which).tolist() == [part.row for part in found]
    return [part.id for part in found]


class TestWords:
    """What a word finds."""

    @pytest.fixture(autouse=True)
    def parts(self, catalog: Catalog, content: MakeContent) -> None:
        """Three parts, each with other facts."""
        catalog.add(
            [
                NewPart(
                    id="a",
                    path="/cad/Gehäuse/DIN 912 M8x20.step",
                    material="1.4301",
                    content=named(content("1"), "Socket Head", "M8", product="Zylinderschraube"),
                ),
                NewPart(
                    id="b",
                    name="100%_flange",
                    project="Pump",
                    label="flange",
                    meta={"supplier": ["Ü & Söhne"]},
                ),
                NewPart(id="c", name="bolt", content=named(content("2"), "OUTLINE", title='bracket "left"')),
            ]
        )

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("m8x20", ["a"]),
            ("GEHÄUSE din", ["a"]),
            ("912 socket", ["a"]),
            ("zylinder", ["a"]),
            ("4301", ["a"]),
            ("m8", ["a"]),
            ("m8 head", ["a"]),
            ("0%_", ["b"]),
            ("0__", []),
            ("pump", ["b"]),
            ("söhne SUPPLIER", ["b"]),
            ("sohne", ["b"]),
            ("gehause", ["a"]),
            ("M8×20", ["a"]),
            ("Ⅿ8", ["a"]),
            ("bracket", ["c"]),
            ('"left"', ["c"]),
            ("out line", ["c"]),
            ("outline m8", []),
            ("b", ["a", "c"]),
            ("fl", ["b"]),
            ("bolt OR flange", []),
            ("  ", ["a", "b", "c"]),
            ("e", ["a", "b", "c"]),
        ],
    )
    def test_every_word_must_occur(self, catalog: Catalog, text: str, found: list[str]) -> None:
        """Words of any length, anywhere in a part's text; quotes, wildcards and operators are just text."""
        assert ids(catalog, text) == found

    def test_words_join_other_filters(self, catalog: Catalog) -> None:
        """A part must meet all of them."""
        assert [p.id for p in catalog.parts(PartFilter(text="fl", label="flange"))] == ["b"]
        assert catalog.parts(PartFilter(text="fl", label="bolt")) == []

    def test_a_change_is_found_at_once(self, catalog: Catalog, content: MakeContent) -> None:
        """Text follows new facts, new content, and removal; unchanged facts stay."""
        catalog.add([NewPart(id="c", name="nut")])
        assert ids(catalog, "bolt") == []
        assert ids(catalog, "nut outline") == ["c"]
        catalog.add([NewPart(id="c", content=named(content("3"), "HATCH"))])
        assert ids(catalog, "outline") == []
        assert ids(catalog, "nut hatch") == ["c"]
        catalog.add([NewPart(id="d", content=named(content("3"), "HATCH"))])
        assert ids(catalog, "hatch") == ["c", "d"]
        catalog.add([NewPart(id="c", content=named(content("3", adapter_version="2"), "CENTRE"))])
        assert ids(catalog, "hatch") == []
        assert ids(catalog, "centre") == ["c", "d"]
        catalog.remove("c")
        assert ids(catalog, "centre") == ["d"]
        assert ids(catalog, "nut") == []
        if catalog.database.sqlite:  # the index of trigrams agrees with the text, row by row
            with catalog.database.write() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO part_trigrams(part_trigrams, rank) VALUES ('integrity-check', 1)"
                )


@given(st.text(max_size=30))
def test_folding_again_changes_nothing(text: str) -> None:
    """So a query and a text meet, whichever of them was folded before; and case never counts."""
    assert fold(fold(text)) == fold(text)
    assert fold("STRASSE Ä") == fold("straße ä")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text("abAB \"'%_*-^:()ßÄ", min_size=1, max_size=8), min_size=1, max_size=4),
    st.text("abAB \"'%_*ßä", max_size=4),
)
def test_words_are_found_as_python_finds_them(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], text: str
) -> None:
    """With trigrams and without, the database finds what a plain comparison of folded text finds."""
    url = f"sqlite:///{tmp_path_factory.mktemp('words') / 'c.sqlite3'}"
    with Catalog.open(url) as catalog:
        catalog.add([NewPart(id=str(n), name=name) for n, name in enumerate(names)])
        expected = [str(n) for n, name in enumerate(names) if all(w in fold(name) for w in words_of(text))]
        assert ids(catalog, text) == expected
        with catalog.database.write() as connection:
            for trigger in ("added", "removed", "changed"):
                connection.exec_driver_sql(f"DROP TRIGGER part_text_{trigger}")
            connection.exec_driver_sql("DROP TABLE part_trigrams")
    with Catalog.open(url) as catalog:
        assert ids(catalog, text) == expected


def test_sizes_lie_within_bounds(catalog: Catalog, content: MakeContent) -> None:
    """The longest length is compared with the longest, whichever axis it lies along; no geometry, no size."""
    plate = content("1")  # 1 x 2 x 0.1
    turned = msgspec.structs.replace(
        content("2").document, bounding_box=BoundingBox((0.0, 0.0, 0.0), (0.1, 1.0, 2.0))
    )
    empty = msgspec.structs.replace(content("3").document, bounding_box=None)
    catalog.add(
        [
            NewPart(id="plate", content=plate),
            NewPart(id="turned", content=msgspec.structs.replace(content("2"), document=turned)),
            NewPart(id="empty", content=msgspec.structs.replace(content("3"), document=empty)),
            NewPart(id="registered"),
        ]
    )
    which = PartFilter(extents=((2.0, 2.0), (0.9, 1.1), (0.0, 0.2)))
    assert [part.id for part in catalog.parts(which)] == ["plate", "turned"]
    assert catalog.parts(PartFilter(extents=((2.1, 3.0), (0.9, 1.1), (0.0, 0.2)))) == []


def test_an_older_catalogue_becomes_searchable(database_url: str, content: MakeContent) -> None:
    """Upgrading fills text and extents of what is there, exactly as adding it today does."""
    found = named(content("1"), "TOP", product="Deckel")
    columns = {
        "path": "/x/Bolt.step",
        "sha256": found.sha256,
        "summary": encode_summary(found.document).decode(),
        "meta": '{"k": 7}',
    }
    engine = sa.create_engine(parse_url(database_url))
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for statement in (
            "INSERT INTO contents (sha256, size, format, adapter_version, summary)"
            " VALUES (:sha256, 1, 'step', '1', :summary)",
            "INSERT INTO parts (row, id, sha256, name, path, meta, created, updated)"
            " VALUES (1, 'old', :sha256, 'Bolt.step', :path, :meta, '', '')",
            "UPDATE counters SET part = 1",
        ):
            connection.execute(sa.text(statement), columns)
    engine.dispose()
    with Catalog.open(database_url) as catalog:
        assert ids(catalog, "bolt top deckel 7") == ["old"]
        query = (
            "SELECT t.text, c.extent_1, c.extent_2, c.extent_3 FROM part_text t"
            " JOIN parts p ON p.row = t.part JOIN contents c ON c.sha256 = p.sha256"
        )
        upgraded = catalog.database.fetch(query)
        catalog.remove("old")
        catalog.add([NewPart(path="/x/Bolt.step", content=found, meta={"k": 7})])
        assert catalog.database.fetch(query) == upgraded
        assert upgraded[0][1:] == (2.0, 1.0, 0.1)


def test_what_was_refused_is_kept_until_it_is_settled(catalog: Catalog) -> None:
    """One line for each path, the last reason; text that no database holds is written as escapes."""
    files = UnreadFiles(catalog)
    files.note([("/a", "PARSE_FAILED", "cut off"), ("/b", "X", "nul \0")], ["/a", "/c"])
    files.note([("/b", "Y", "nul \0")], [])
    assert [found[:3] for found in files.all()] == [
        ("/a", "PARSE_FAILED", "cut off"),
        ("/b", "Y", r"'nul \x00'"),
    ]
    files.note([], ["/a", "/c"])
    assert [found.path for found in files.all()] == ["/b"]
