"""The backend keeps both contracts, and serves a catalogue across restarts, replacements and losses."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cadml_sqlite_vectors import SqliteBackend, SqliteConfig

from cadml_core import IndexKey
from cadml_core.testing import DurableIndexContract, VectorBackendContract


class TestSqliteVectors(VectorBackendContract, DurableIndexContract):
    """Both contract classes of the kit."""

    @pytest.fixture
    def backend(self) -> SqliteBackend:
        """The backend under test."""
        return SqliteBackend()

    @pytest.fixture
    def config(self, tmp_path: Path) -> SqliteConfig:
        """One file for all that a test opens."""
        return SqliteConfig(str(tmp_path / "vectors.sqlite3"))

    @pytest.fixture
    def drop(self, config: SqliteConfig) -> Callable[[IndexKey], None]:
        """Delete a table behind the backend's back."""

        def delete(key: IndexKey) -> None:
            connection = sqlite3.connect(config.path)
            connection.execute(f"DROP TABLE {key.text}")
            connection.commit()
            connection.close()

        return delete
