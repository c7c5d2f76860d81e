"""Format detection: content first, suffix second, and a clear word where they disagree."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import FormatMismatch, NotFound, UnreadableInput, UnsupportedContent
from cadml_core.reading.detection import detect


class Adapter:
    """An adapter that knows its content by the first bytes."""

    version = "1"
    media_types: tuple[str, ...] = ()

    def __init__(self, name: str, begins: bytes, *suffixes: str) -> None:
        self.name = name
        self.begins = begins
        self.suffixes = suffixes

    def sniff(self, head: bytes) -> bool:
        """Compare the first bytes."""
        return head.startswith(self.begins)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Detection never reads."""
        raise AssertionError


class Broken(Adapter):
    """An adapter that breaks the promise never to raise."""

    def sniff(self, head: bytes) -> bool:
        """Raise."""
        raise IndexError(head)


CUBE = Adapter("cube", b"CUBE", ".cub", ".cube")
BALL = Adapter("ball", b"BALL", ".bal")
FORMATS: dict[str, FormatAdapter] = {adapter.name: adapter for adapter in (CUBE, BALL)}


def write(folder: Path, name: str, content: bytes) -> Path:
    """Make a file."""
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.cub", "a.CUBE", "a", "a.txt", "a.b.cub", ".cub"])
def test_content_decides(tmp_path: Path, name: str) -> None:
    """Content that one adapter knows needs no suffix, in any case, known or unknown."""
    assert detect(write(tmp_path, name, b"CUBE 1"), FORMATS) is CUBE


def test_disagreement_names_both(tmp_path: Path) -> None:
    """A file that is not what its name says is refused with both formats."""
    with pytest.raises(FormatMismatch, match="says cube, its content is ball") as caught:
        detect(write(tmp_path, "a.cub", b"BALL"), FORMATS)
    assert caught.value.context["claimed"] == "cube"
    assert caught.value.context["found"] == "ball"


def test_unrecognised_content_under_a_known_suffix_is_a_mismatch(tmp_path: Path) -> None:
    """The refusal shows how the content begins."""
    with pytest.raises(FormatMismatch, match=r"says cube, but its content is not, nor anything known$"):
        detect(write(tmp_path, "a.cub", b"PK\x03\x04"), FORMATS)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    """Zero bytes are named as such, whatever the suffix."""
    with pytest.raises(FormatMismatch, match="is empty"):
        detect(write(tmp_path, "a.cub", b""), FORMATS)
    with pytest.raises(UnsupportedContent, match="is empty"):
        detect(write(tmp_path, "a.txt", b""), FORMATS)


def test_unknown_content_lists_what_is_installed(tmp_path: Path) -> None:
    """Whoever brings a foreign file learns which formats there are."""
    with pytest.raises(UnsupportedContent, match=r"ball \(\.bal\).*cube|cube \(\.cub \.cube\), ball"):
        detect(write(tmp_path, "a.doc", b"what"), FORMATS)
    with pytest.raises(UnsupportedContent, match="installed: none"):
        detect(write(tmp_path, "a.doc", b"what"), {})


def test_the_suffix_decides_between_two_that_know_the_content(tmp_path: Path) -> None:
    """Formats that begin alike are told apart by the name."""
    twin = Adapter("twin", b"CU", ".twn")
    formats = {**FORMATS, "twin": twin}
    assert detect(write(tmp_path, "a.twn", b"CUBE"), formats) is twin
    assert detect(write(tmp_path, "a.cub", b"CUBE"), formats) is CUBE
    with pytest.raises(UnsupportedContent, match="cube and twin all claim this content; give the file one"):
        detect(write(tmp_path, "a", b"CUBE"), formats)
    with pytest.raises(FormatMismatch, match="says ball, its content is cube and twin"):
        detect(write(tmp_path, "a.bal", b"CUBE"), formats)


def test_two_adapters_for_one_format_are_not_chosen_by_order(tmp_path: Path) -> None:
    """Where content and suffix fit two plugins, the user has to say which one is meant."""
    rival = Adapter("rival", b"CUBE", ".cub")
    with pytest.raises(UnsupportedContent, match="disable all but one"):
        detect(write(tmp_path, "a.cub", b"CUBE"), {**FORMATS, "rival": rival})


def test_an_adapter_that_raises_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broken sniff is logged and counts as no."""
    formats = {**FORMATS, "broken": Broken("broken", b"", ".brk")}
    assert detect(write(tmp_path, "a", b"BALL"), formats) is BALL
    assert "broken: sniff raised" in caplog.text


def test_sniff_sees_the_head_only(tmp_path: Path) -> None:
    """An adapter gets the first 4 KiB, however large the file is."""

    class Measuring(Adapter):
        def sniff(self, head: bytes) -> bool:
            self.seen = len(head)
            return True

    measuring = Measuring("m", b"", ".m")
    detect(write(tmp_path, "a.m", b"x" * 10_000), {"m": measuring})
    assert measuring.seen == 4096


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """What is not there is told apart from what cannot be read."""
    with pytest.raises(NotFound, match="there is no file"):
        detect(tmp_path / "none.cub", FORMATS)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """Folders, pipes, sockets and devices are refused at once; a pipe would block for ever."""
    os.mkfifo(tmp_path / "pipe.cub")
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind(str(tmp_path / "socket.cub"))
        for path in (tmp_path, tmp_path / "pipe.cub", tmp_path / "socket.cub", Path("/dev/null")):
            with pytest.raises(UnreadableInput):
                detect(path, FORMATS)


def test_a_link_loop_and_an_impossible_name_are_unreadable(tmp_path: Path) -> None:
    """What the operating system refuses is passed on with its reason."""
    loop = tmp_path / "loop.cub"
    loop.symlink_to(loop)
    for path in (loop, tmp_path / ("x" * 300), Path("nul\0byte.cub")):
        with pytest.raises(UnreadableInput, match="cannot read"):
            detect(path, FORMATS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    """The reason of the operating system is in the message."""
    path = write(tmp_path, "a.cub", b"CUBE")
    path.chmod(0)
    with pytest.raises(UnreadableInput, match="Permission denied"):
        detect(path, FORMATS)


def test_a_name_that_is_not_utf8_can_be_shown(tmp_path: Path) -> None:
    """The message for an undecodable name is text that any encoder accepts."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.cub"))
    path.write_bytes(b"BALL")
    with pytest.raises(FormatMismatch) as caught:
        detect(path, FORMATS)
    assert r"caf\xe9.cub" in caught.value.message.encode("utf-8").decode()
