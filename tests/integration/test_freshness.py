"""What one process wrote, another's next search finds."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cadml_core import VectorBackend
from cadml_core.catalog.store import Catalog
from cadml_core.errors import NotFound
from cadml_core.search.similarity import SimilaritySearch
from cadml_plugins.features.v1 import V1
from cadml_plugins.vectors.faiss import FaissBackend
from cadml_plugins.vectors.memory import MemoryBackend

WRITER = textwrap.dedent(
    """
    import sys
    import numpy as np
    from cadml_core.catalog.store import Catalog

    for line in sys.stdin:
        verb, name, *width = line.split()
        if verb == "open":
            catalog = Catalog.open(name)
        elif verb == "add":
            catalog.register_vector(name, "v1", np.array([1, float(width[0]), 0, 0, 0, 0, 0]))
        elif verb == "remove":
            catalog.remove(name)
        else:
            catalog.close()
        print("done", flush=True)
    """
)
Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Tell]:
    """Have another process do something, and wait until it is done."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        given, answered = writer.stdin, writer.stdout

        def tell(order: str) -> None:
            given.write(f"{order}\n")
            given.flush()
            assert answered.readline() == "done\n"

        yield tell
        given.close()


@pytest.mark.parametrize("backend", [FaissBackend(), MemoryBackend()], ids=lambda backend: backend.name)
def test_the_next_search_knows(database_url: str, backend: VectorBackend, elsewhere: Tell) -> None:
    """Adding, changing and removing in another process, one after the other, are each seen at once."""
    with Catalog.open(database_url) as catalog:
        search = SimilaritySearch(catalog, V1, backend)

        def nearest(width: float) -> str | None:
            hits = search.by_values(np.array([1, width, 0, 0, 0, 0, 0]), k=1).hits
            return hits[0].id if hits else None

        elsewhere(f"open {database_url}")
        assert nearest(10.0) is None
        for turn in range(20):
            elsewhere(f"add part{turn} {10.0 * turn}")
            assert nearest(10.0 * turn) == f"part{turn}"
        elsewhere("add part3 5000.0")
        assert nearest(5000.0) == "part3"
        elsewhere("remove part3")
        assert nearest(5000.0) == "part19"
        with pytest.raises(NotFound):
            search.by_id("part3")
        elsewhere("close all")
        search.close()
