"""Uploads on disk: whole or not at all, once per content, and gone when nobody needs them."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cadml_core.catalog.blobs import BlobStore, UploadTooLarge
from cadml_core.errors import CatalogueUnavailable

SHA_OF_ABC = hashlib.sha256(b"abc").hexdigest()


class Names:
    """A catalogue that knows contents by their sha256."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def stored(self, hashes: Iterable[str]) -> set[str]:
        """Return those that are known."""
        return self.known & set(hashes)


@pytest.fixture
def names() -> Names:
    """A catalogue that knows nothing yet."""
    return Names()


@pytest.fixture
def blobs(tmp_path: Path, names: Names) -> BlobStore:
    """A store without files."""
    return BlobStore(tmp_path, names.stored)


def files(folder: Path) -> list[str]:
    """Every file in the store, without its locks."""
    found = (path for path in folder.rglob("*") if path.is_file() and "locks" not in path.parts)
    return sorted(path.name for path in found)


def test_a_kept_file_is_found_by_its_content(blobs: BlobStore, names: Names, tmp_path: Path) -> None:
    """It arrives in pieces, is hashed on the way, and is where its sha256 says."""
    with blobs.receive(".stl", 10) as incoming:
        assert incoming.path.suffix == ".stl"
        for piece in (b"a", b"", b"bc"):
            incoming.write(piece)
        assert (incoming.sha256, incoming.size) == (SHA_OF_ABC, 3)
        with blobs.keep(incoming) as path:
            names.known.add(incoming.sha256)
    assert path == blobs.path(SHA_OF_ABC)
    assert path.read_bytes() == b"abc"
    assert files(tmp_path) == [SHA_OF_ABC]


def test_what_is_not_kept_is_removed(blobs: BlobStore, tmp_path: Path) -> None:
    """Whether the receiver ends in order or by an error."""
    with blobs.receive("", 10) as incoming:
        incoming.write(b"abc")
    with pytest.raises(KeyError), blobs.receive("", 10) as incoming:
        raise KeyError
    assert files(tmp_path) == []


def test_the_limit_is_that_of_the_bytes(blobs: BlobStore, tmp_path: Path) -> None:
    """The byte too many is refused, with both numbers."""
    with blobs.receive("", 3) as incoming:
        incoming.write(b"abc")
        with pytest.raises(UploadTooLarge) as refused:
            incoming.write(b"d")
        assert refused.value.context == {"found": 4, "allowed": 3}
    assert files(tmp_path) == []


def test_a_content_that_could_not_be_named_is_not_kept(
    blobs: BlobStore, names: Names, tmp_path: Path
) -> None:
    """Where the catalogue refuses, the file goes; unless another part has the same content."""
    for known, left in ((set(), []), ({SHA_OF_ABC}, [SHA_OF_ABC])):
        names.known = known
        with pytest.raises(RuntimeError), blobs.receive("", 10) as incoming:
            incoming.write(b"abc")
            with blobs.keep(incoming):
                raise RuntimeError
        assert files(tmp_path) == left


def test_a_torn_file_heals(blobs: BlobStore, names: Names) -> None:
    """What a loss of power left of a file is replaced when its content comes again."""
    names.known.add(SHA_OF_ABC)
    torn = blobs.path(SHA_OF_ABC)
    torn.parent.mkdir()
    torn.write_bytes(b"a")
    with blobs.receive("", 10) as incoming:
        incoming.write(b"abc")
        with blobs.keep(incoming):
            pass
    assert torn.read_bytes() == b"abc"


def test_discarding_asks_the_catalogue(blobs: BlobStore, names: Names, tmp_path: Path) -> None:
    """A file that a part has stays; one that none has goes; one that is not there is no matter."""
    for content in (b"abc", b"def"):
        with blobs.receive("", 10) as incoming:
            incoming.write(content)
            with blobs.keep(incoming):
                names.known.add(incoming.sha256)
    other = hashlib.sha256(b"def").hexdigest()
    names.known.remove(SHA_OF_ABC)
    blobs.discard([SHA_OF_ABC, other, "0" * 64])
    assert files(tmp_path) == [other]


def test_sweeping_spares_what_is_being_received(blobs: BlobStore, names: Names, tmp_path: Path) -> None:
    """A start removes what dead processes left, never what a living one is receiving."""
    code = (
        "import sys, time; from pathlib import Path; from cadml_core.catalog.blobs import BlobStore;"
        "i = BlobStore(Path(sys.argv[1]), set).receive('.stl', 10); i.write(b'abc'); print(flush=True);"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert blobs.sweep() == 0
        assert len(files(tmp_path)) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    orphan = blobs.path(SHA_OF_ABC)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"abc")
    assert blobs.sweep() == 2
    assert files(tmp_path) == []


def test_a_file_is_on_the_disk_before_its_name(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then the folders that name it, and only then does the catalogue name it."""
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(file: Any) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{_number(file)}').readlink().name}")
        sync(file)

    def note_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    with blobs.receive(".stl", 10) as incoming:
        incoming.write(b"abc")
        temporary = incoming.path.name
        with blobs.keep(incoming):
            done.append("row")
    assert done == [
        f"sync {temporary}",
        "rename",
        f"sync {blobs.folder.name}",
        f"sync {SHA_OF_ABC[:2]}",
        "row",
    ]


def _number(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


def test_a_disk_that_refuses_is_an_error_with_a_code(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told as such, and leaves no file behind."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with blobs.receive(".stl", 10) as incoming:
        incoming.write(b"abc")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(CatalogueUnavailable, match="No space left on device"), blobs.keep(incoming):
            pytest.fail("the catalogue was asked to name a file that is not there")
    assert files(blobs.folder) == []
    blobs.incoming.rmdir()
    blobs.incoming.write_text("no folder")
    with pytest.raises(CatalogueUnavailable, match="uploads cannot be stored"):
        blobs.receive(".stl", 10)
