"""Let schemathesis ask a live server everything its OpenAPI document allows, and much that it does not.

    python -m tests.integration.http.fuzz [options of `schemathesis run`]

No answer may be a 5xx, break its own schema, or be undocumented; what breaks a schema must be refused.
Not checked is that everything of the right shape is accepted: that a file holds a CAD model, or that a
search names either an id or a vector, is more than a schema says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.http.server import ADMIN_HEADERS, LiveServer, tetrahedron


def main() -> int:
    """Start a server with a few parts, and return the exit status of schemathesis."""
    with tempfile.TemporaryDirectory() as folder, LiveServer(Path(folder)) as server:
        with server.client() as client:
            for part_id in ("0", "a", "part"):
                files = {"file": (f"{part_id}.stl", tetrahedron(3 + len(part_id)))}
                client.post("/api/v1/analyze", files=files, data={"id": part_id}).raise_for_status()
        headers = [f"--header={name}: {value}" for name, value in ADMIN_HEADERS.items()]
        document = f"{server.url}/docs/openapi.json"
        options = ["--exclude-checks=positive_data_acceptance", *sys.argv[1:]]
        program = ["schemathesis", f"--config-file={Path(__file__).with_name('schemathesis.toml')}"]
        return subprocess.run([*program, "run", document, *headers, *options]).returncode


if __name__ == "__main__":
    sys.exit(main())
