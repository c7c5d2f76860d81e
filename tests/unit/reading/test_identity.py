"""A file is hashed once: its identity spares whoever reads it later from hashing it again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import NotFound, UnreadableInput, UnsupportedContent
from cadml_core.reading.identity import FileIdentity, identify_file
from cadml_core.reading.reading import Reading, read_file
from tests.integration.evil_readers import FORMATS, Evil, good


class Claiming(Evil):
    """An adapter for every content that begins with "good"."""

    def sniff(self, head: bytes) -> bool:
        """Compare the first bytes."""
        return head.startswith(b"good")


TWINS = {name: Claiming(name, good) for name in ("one", "other")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that the adapter ``good`` reads."""
    path = tmp_path / "part.good"
    path.write_text("good\n")
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the name of the algorithm each time a file is hashed."""
    seen = []
    file_digest = hashlib.file_digest

    def counted(file: Any, algorithm: Any, **options: Any) -> Any:
        seen.append(algorithm)
        return file_digest(file, algorithm, **options)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return seen


def read(path: Path, identity: FileIdentity | None = None) -> Reading:
    """Read a file here."""
    return read_file(path, formats=FORMATS, features={}, versions=(), limits=ReadLimits(), identity=identity)


def test_a_file_is_hashed_once(path: Path, hashed: list[str]) -> None:
    """Reading it with its identity hashes it no second time; without, it does."""
    identity, _ = identify_file(path)
    assert read(path, identity).sha256 == hashlib.sha256(b"good\n").hexdigest()
    assert hashed == ["sha256"]
    read(path)
    assert hashed == ["sha256", "sha256"]


def test_an_identity_has_the_whole_content_and_the_first_bytes(tmp_path: Path) -> None:
    """The hash covers the whole file, while the head ends after 4 KiB."""
    content = os.urandom(10_000)
    path = tmp_path / "large"
    path.write_bytes(content)
    identity, head = identify_file(path)
    assert (identity.sha256, identity.size) == (hashlib.sha256(content).hexdigest(), 10_000)
    assert head == content[:4096]
    assert identity.describes(path.stat())


def test_a_file_that_has_changed_gets_its_own_hash(path: Path, tmp_path: Path, hashed: list[str]) -> None:
    """Rewritten in place, touched or replaced by another of equal size: its content is hashed again."""
    identity, _ = identify_file(path)
    path.write_text("good\nand more\n")
    assert read(path, identity).sha256 == hashlib.sha256(b"good\nand more\n").hexdigest()
    path.write_text("good\n")
    os.utime(path, ns=(0, identity.modified_ns + 1))
    assert read(path, identity).sha256 == identity.sha256
    other = tmp_path / "other"
    other.write_text("good\n")
    os.utime(other, ns=(0, identity.modified_ns))
    other.replace(path)
    assert read(path, identity).sha256 == identity.sha256
    assert len(hashed) == 4


@pytest.mark.parametrize("field", ["size", "device", "inode", "modified_ns"])
def test_an_identity_describes_one_state_of_one_file(path: Path, field: str) -> None:
    """Whatever the status of a file shows to differ, it is not taken for the same content."""
    identity, _ = identify_file(path)
    changed = msgspec.structs.replace(identity, **{field: getattr(identity, field) + 1})
    assert not changed.describes(path.stat())


def test_what_cannot_be_opened_has_no_identity(tmp_path: Path) -> None:
    """A missing file and a folder are refused as in format detection."""
    with pytest.raises(NotFound):
        identify_file(tmp_path / "none")
    with pytest.raises(UnreadableInput, match="is a folder"):
        identify_file(tmp_path)


def test_a_named_adapter_reads_a_file_without_suffix(tmp_path: Path) -> None:
    """Kept uploads have none; where two adapters claim the content, the name decides."""
    path = tmp_path / "0123abcd"
    path.write_text("good\n")
    options: dict[str, Any] = {"formats": TWINS, "features": {}, "versions": (), "limits": ReadLimits()}
    with pytest.raises(UnsupportedContent, match="one and other all claim"):
        read_file(path, **options)
    assert read_file(path, adapter="other", **options).format == "other"
    with pytest.raises(NotFound, match="no format adapter 'third'; installed: one, other"):
        read_file(path, adapter="third", **options)
