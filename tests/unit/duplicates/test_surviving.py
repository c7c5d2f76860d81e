"""Decisions outlive newer schemas, and of two people at one moment exactly one is heard."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from cadml_core.catalog import schema
from cadml_core.catalog.engine import parse_url
from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.decisions import Decision, Lead, pair_of
from cadml_core.duplicates.scope import Scope
from cadml_core.errors import CadmlError
from tests.unit.duplicates.cleaning import Cleaning
from tests.unit.duplicates.planted import body, moved, part

AT = "2026-01-02T03:04:05.000000Z"


def copies() -> list[NewPart]:
    """Three copies of one part; a new list of them has the same contents."""
    generator = np.random.default_rng(0)
    one = body(generator)
    return [part(moved(one, generator), name) for name in "abc"]


def sha256(new: NewPart) -> str:
    """The hash of its content."""
    assert new.content is not None
    return new.content.sha256


def old_catalogue(url: str, statements: list[tuple[str, dict[str, str]]]) -> None:
    """Make a database as the first cadml with decisions left it."""
    engine = sa.create_engine(parse_url(url))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        for statement, values in statements:
            connection.execute(sa.text(statement), values)
    engine.dispose()


def test_decisions_outlive_a_newer_schema(database_url: str) -> None:
    """A decision and a lead that the first schema with them holds are in force in the newest."""
    a, b, c = copies()
    first, second = pair_of(sha256(a), sha256(b))
    kept = {"a": first, "b": second, "verdict": "different", "note": "left-hand", "author": "Ada", "at": AT}
    led = {"sha256": sha256(c), "part": "c", "author": "Eve", "at": AT}
    old_catalogue(
        database_url,
        [
            (
                "INSERT INTO decisions (a, b, verdict, note, author, at)"
                " VALUES (:a, :b, :verdict, :note, :author, :at)",
                kept,
            ),
            ("INSERT INTO leads (sha256, part, author, at) VALUES (:sha256, :part, :author, :at)", led),
        ],
    )
    with Catalog.open(database_url) as catalog:
        cleaning = Cleaning(catalog)
        decision = Decision(first, second, "different", "left-hand", "Ada", AT)
        assert cleaning.decisions.all() == {(first, second): decision}
        assert cleaning.decisions.leads() == {sha256(c): Lead(sha256(c), "c", "Eve", AT)}
        cleaning.add(a, b, c)
        cleaning.run()
        groups = cleaning.groups()
        assert groups
        assert all(group.lead == "c" and len(group.parts) == 2 for group in groups)


def test_of_two_people_at_once_one_is_heard(database_url: str) -> None:
    """Each has a connection of their own; the other is told of the conflict, every time."""
    with Catalog.open(database_url) as one, Catalog.open(database_url) as other:
        people = {"Ada": Cleaning(one), "Bob": Cleaning(other)}
        people["Ada"].add(*copies())
        verdicts = {"Ada": "duplicate", "Bob": "different"}
        barrier = Barrier(2)

        def decide(by: str) -> str:
            tool = people[by]
            pair = tool.part("a"), tool.part("b")
            barrier.wait(30)
            try:
                tool.decisions.decide(*pair, verdicts[by], by=by)  # type: ignore[arg-type]
            except CadmlError as error:
                return error.code
            return by

        with ThreadPoolExecutor(2) as threads:
            for _ in range(10):
                answers = set(threads.map(decide, people))
                assert "DECISION_CONFLICT" in answers
                heard = [by for by in answers if by in people]
                assert len(heard) == 1
                [decision] = people["Bob"].decisions.all().values()
                assert (decision.by, decision.verdict) == (heard[0], verdicts[heard[0]])
                tool = people["Ada"]
                tool.decisions.withdraw(tool.part("a"), tool.part("b"))


@pytest.mark.parametrize("verdict", ["duplicate", "different"])
def test_a_decision_about_parts_that_are_gone_harms_nothing(cleaning: Cleaning, verdict: str) -> None:
    """It is kept and exported, names no part, and leaves the groups of the others as they are."""
    cleaning.add(*copies())
    cleaning.run()
    pair = cleaning.part("a"), cleaning.part("b")
    cleaning.decisions.decide(*pair, verdict, by="Ada")  # type: ignore[arg-type]
    cleaning.decisions.choose_lead(pair[0], by="Ada")
    cleaning.catalog.remove("a")
    cleaning.run()
    assert cleaning.members(Scope(decided=True)) == [{"b", "c"}]
    cleaning.catalog.remove("b", "c")
    cleaning.run()
    assert cleaning.groups(Scope(decided=True)) == []
    assert len(cleaning.decisions.all()) == 1
