"""What one process wrote, another's next search finds."""

from __future__ import annotations

import subprocess
import sys
import textwrap

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

    with Catalog.open(sys.argv[1]) as catalog:
        for line in sys.stdin:
            verb, name, width = line.split()
            if verb == "add":
                catalog.register_vector(name, "v1", np.array([1, float(width), 0, 0, 0, 0, 0]))
            else:
                catalog.remove(name)
            print("done", flush=True)
    """
)


@pytest.mark.parametrize("backend", [FaissBackend(), MemoryBackend()], ids=lambda backend: backend.name)
def test_the_next_search_knows(database_url: str, backend: VectorBackend) -> None:
    """Adding, changing and removing in another process, one after the other, are each seen at once."""
    with (
        Catalog.open(database_url) as catalog,
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer,
    ):
        search = SimilaritySearch(catalog, V1, backend)

        def elsewhere(verb: str, name: str, width: float = 0.0) -> None:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(f"{verb} {name} {width}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "done\n"

        def nearest(width: float) -> str | None:
            hits = search.by_values(np.array([1, width, 0, 0, 0, 0, 0]), k=1).hits
            return hits[0].part.id if hits else None

        assert nearest(10.0) is None
        for turn in range(20):
            elsewhere("add", f"part{turn}", 10.0 * turn)
            assert nearest(10.0 * turn) == f"part{turn}"
        elsewhere("add", "part3", 5000.0)
        assert nearest(5000.0) == "part3"
        elsewhere("remove", "part3")
        assert nearest(5000.0) == "part19"
        with pytest.raises(NotFound):
            search.by_id("part3")
        assert writer.stdin is not None
        writer.stdin.close()
        search.close()
