"""A server in this process, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for, wait_until_ready


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of ``app``."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def app(folder: Path) -> Litestar:
    """An application with an empty catalogue."""
    return create_app(settings_for(folder, analysis_max_file_mb=1, analysis_max_batch_files=5))


@pytest.fixture(scope="module")
def client(app: Litestar) -> Iterator[TestClient[Litestar]]:
    """A client of ``app`` with an API key."""
    with TestClient(app, raise_server_exceptions=False) as found:
        found.headers.update(HEADERS)
        wait_until_ready(found)
        yield found
