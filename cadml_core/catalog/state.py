"""What operators chose for every process on one catalogue: small named values in the same change log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from cadml_core.catalog.engine import lock, log_changes, upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import operator_state

T = TypeVar("T")

STATE = "state"
"""The kind of these changes in the log; the key is the name."""


class OperatorState:
    """Named values that all processes share. Every call is one transaction."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database

    def get(self, name: str, kind: type[T]) -> T | None:
        """Return a value, None where it was never set.

        Raises:
            msgspec.ValidationError: What is stored is no ``kind``.
        """
        found = self._database.fetch("SELECT value FROM operator_state WHERE name = ?", (name,))
        return msgspec.json.decode(found[0][0], type=kind) if found else None

    def update(self, name: str, kind: type[T], change: Callable[[T | None], T]) -> T:
        """Replace a value by what ``change`` makes of the one before, while no other process can.

        Returns:
            The new value; durable.
        """
        with self._database.write() as connection:
            numbers = lock(connection)
            before = connection.execute(
                sa.select(operator_state.c.value).where(operator_state.c.name == name)
            ).scalar_one_or_none()
            value = change(None if before is None else msgspec.json.decode(before, type=kind))
            row = (name, msgspec.json.encode(value).decode())
            upsert(connection, operator_state, [row])
            log_changes(connection, numbers, [name], STATE)
        return value
