"""Text of unknown origin is shown as it is: a terminal obeys none of it, and no line is forged."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from cadml_core.printable import printable, printable_json, unquoted
from cadml_hostapp import logs
from tests.integration.command import in_process

HOSTILE = {
    "escape": ("a\x1b[2Jb", "a\\x1b[2Jb"),
    "line feed": ("a\nb", "a\\nb"),
    "carriage return": ("a\rb", "a\\rb"),
    "tab": ("a\tb", "a\\tb"),
    "delete": ("a\x7fb", "a\\x7fb"),
    "CSI of C1": ("a\x9b2Jb", "a\\x9b2Jb"),
    "right to left": ("a\u202eb", "a\\u202eb"),
    "isolate": ("a\u2066b", "a\\u2066b"),
    "mark": ("a\u200fb", "a\\u200fb"),
    "line separator": ("a\u2028b", "a\\u2028b"),
    "no width": ("a\u200bb", "a\\u200bb"),
    "tag": ("a\U000e0041b", "a\\U000e0041b"),
    "lone surrogate": ("a\udc80b", "a\\udc80b"),
}
HARMLESS = ["Flansch Ø 12 µm", "法兰盘", "شفة", "a\\b", "🔩", ""]


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    """Each as an escape that names it; with lines, only line feeds and tabs stay."""
    assert printable(text) == shown
    assert printable(text, lines=True) == (text if text in ("a\nb", "a\tb") else shown)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text: str) -> None:
    """Letters of any script are no danger."""
    assert printable(text) == text


@pytest.mark.parametrize("text", [text for text, _ in HOSTILE.values() if "\udc80" not in text])
def test_json_keeps_its_meaning(text: str) -> None:
    """Machines read the same text; the document itself holds nothing that a terminal obeys."""
    document = printable_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert printable(document, lines=True) == document


@pytest.mark.parametrize(
    "message",
    [
        "no number: 'secret'",
        'bad code "secret" at line 3',
        "b'secret' is odd",
        "it's \"secret",
        "'se\"cret' x",
    ],
)
def test_what_a_library_quotes_is_left_out(message: str) -> None:
    """The rest of its message stays."""
    assert "secret" not in unquoted(message)
    assert "se" not in unquoted(message).replace("not shown", "")
    assert "(not shown)" in unquoted(message)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: Any) -> Any:
    """A function that logs and returns what was written."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def write(message: str, **more: Any) -> str:
        logs.configure(request.param, "info")
        logging.getLogger("test").warning("%s", message, **more)
        return capsys.readouterr().err

    yield write
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize("logged", ["console", "json"], indirect=True)
@pytest.mark.parametrize("text", [text for text, _ in HOSTILE.values()], ids=HOSTILE)
def test_logs_show_escapes(logged: Any, text: str) -> None:
    """In messages, in the values beside them and in the text of exceptions; one event is one line."""
    for written in (logged(text), logged("x", extra={"path": text, "more": {text: [text]}})):
        assert written.count("\n") == 1
        assert printable(written, lines=True) == written
    try:
        raise ValueError(text)
    except ValueError:
        written = logged("x", exc_info=True)
    assert printable(written, lines=True) == written
    assert "ValueError" in written


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["for people", "for machines"])
def test_commands_show_escapes(tmp_path: Path, as_json: tuple[str, ...]) -> None:
    """Names and paths of files, in what commands print of good and bad ones."""
    environ = {"CADML_DATA_DIR": str(tmp_path / "data")}
    folder = tmp_path / "in"
    folder.mkdir()
    for text, _ in HOSTILE.values():
        (folder / f"{text}.stl").write_text(
            "solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\n"
            "endfacet\nendsolid x\n"
        )
        (folder / f"bad {text}.stl").write_text("nothing")
    for arguments in (
        ("ingest", folder, "--label-from", "parent"),
        ("search", folder / "a\x1b[2Jb.stl"),
        ("search", folder / "bad a\x1b[2Jb.stl"),
        ("extract", folder / "a\u202eb.stl"),
    ):
        done = in_process(*map(str, arguments), *as_json, environ=environ)
        for written in (done.stdout, done.stderr):
            assert printable(written, lines=True) == written
            assert "\t" not in written
