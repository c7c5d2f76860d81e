"""What an error shows a client: what it needs, and nothing of the server."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from litestar.exceptions import HTTPException, InternalServerException

from cadml_core.errors import CadmlError, NotFound
from cadml_hostapp.http import errors as http_errors


def test_paths_of_the_server_are_shortened(tmp_path: Path) -> None:
    """Outside the data folder only the last component is shown; inside it, and what is no path, stays."""
    inside = tmp_path / "models" / "m.pkl"
    error = NotFound(
        f"no file /usr/share/secret/m.pkl, nor {inside}; see /docs, 3/4, http://x/y/z and 'usr/lib'",
        path="/usr/lib/python/m.pkl",
        database="sqlite:////usr/share/secret/cat.sqlite3",
        nested={"path": ["/etc/ssl/private.pem", 7]},
    )
    problem = http_errors.public(error, tmp_path)
    told = json.dumps(problem.context) + problem.message
    for hidden in ("/usr/share", "secret", "/usr/lib/python", "/etc/ssl"):
        assert hidden not in told, told
    assert str(inside) in problem.message
    assert "3/4" in problem.message
    assert "http://x/y/z" in problem.message
    assert "/docs" in problem.message
    assert problem.context["path"] == "m.pkl"
    assert problem.context["nested"] == {"path": ["private.pem", 7]}


def test_an_unexpected_error_tells_only_its_number(tmp_path: Path) -> None:
    """The text of the exception may hold anything, so none of it is shown."""
    problem = http_errors.internal(RuntimeError("password=hunter2"), "search").problem()
    assert problem.code == "INTERNAL_ERROR"
    assert "hunter2" not in json.dumps([problem.message, problem.context])
    assert problem.context["id"] in problem.message


def test_any_context_becomes_json() -> None:
    """Values that JSON does not know become text or null; nothing raises."""
    error = CadmlError("odd", path=Path("x"), number=float("nan"), items={1, 2}, raw=b"\xff")
    decoded = json.loads(http_errors.encode(error.problem()))
    assert decoded["context"]["path"] == "x"
    assert decoded["context"]["number"] is None


def test_an_error_does_not_tell_which_folders_exist(tmp_path: Path) -> None:
    """A path that is there and one that is not are shown alike, whoever named them."""
    told = {
        http_errors.public(
            NotFound(f"there is no {folder}/a/part.stl", path=f"{folder}/a/part.stl"), tmp_path
        ).message
        for folder in ("/etc", "/usr", "/nonexistent", "/tmp")
    }
    assert told == {"there is no part.stl"}


def test_a_client_that_goes_away_is_no_server_error() -> None:
    """What Litestar raises when the body ends early is told as the client's doing, and not logged as ours."""
    handler = http_errors.handlers(Path("/data"))[HTTPException]
    request: Any = SimpleNamespace(scope={"method": "POST", "path": "/x"})
    gone = handler(request, InternalServerException("client disconnected prematurely"))
    assert (gone.status_code, json.loads(gone.content)["code"]) == (422, "INPUT_VALIDATION_FAILED")
    other = handler(request, InternalServerException("something else"))
    assert (other.status_code, json.loads(other.content)["code"]) == (500, "INTERNAL_ERROR")
