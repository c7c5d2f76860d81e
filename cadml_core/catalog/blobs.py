"""Uploaded files in the data folder: received piece by piece, kept under the sha256 of their content."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from cadml_core.errors import CadmlError, CatalogueUnavailable
from cadml_core.private_files import private_folder

log = logging.getLogger(__name__)

StoredContents = Callable[[Iterable[str]], Collection[str]]
"""Tells which of these sha256 the catalogue holds: ``Catalog.readers_of``."""


class UploadTooLarge(CadmlError, ValueError):
    """More bytes arrived than one file may have."""

    code = "INPUT_SIZE_EXCEEDED"


class Incoming:
    """A file that is being received. Used by one thread at a time.

    The operating system's lock on it lasts as long as it is open, so another process can tell what a
    dead one left behind.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.size = 0
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def sha256(self) -> str:
        """Of what was received so far, 64 hex digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray) -> None:
        """Add bytes.

        Raises:
            UploadTooLarge: The file would be larger than is allowed.
        """
        found = self.size + len(data)
        if found > self._max_bytes:
            raise UploadTooLarge(
                f"the file has more than {self._max_bytes:,} bytes; raise ANALYSIS_MAX_FILE_MB for such",
                found=found,
                allowed=self._max_bytes,
            )
        self.size = found
        self._hash.update(data)
        view = memoryview(data)
        with storing(self.path):
            while view:
                view = view[self._file.write(view) :]

    def sync(self) -> None:
        """Wait until what was received is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Remove the file where it was not kept; closing twice is allowed."""
        if not self._file.closed:
            self.path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlobStore:
    """Content-addressed files under one folder, shared by any number of processes.

    A file is put in its place before the catalogue refers to it, and removed after the catalogue no longer
    does. Storing takes a shared lock, removing an exclusive one, so that a file about to be referred to is
    never taken for an unused one. There is a lock for each of the 256 folders, so that removing need not
    wait for all of a busy server's uploads.
    """

    def __init__(self, folder: Path, stored: StoredContents) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self._locks = folder / "locks"
        self._stored = stored
        self._made = False

    def receive(self, suffix: str, max_bytes: int) -> Incoming:
        """Begin to receive a file.

        Args:
            suffix: What the temporary name ends in, so that format detection sees it.
            max_bytes: The most it may have.

        Raises:
            CatalogueUnavailable: The disk is full, read-only or failing.
        """
        with storing(self.incoming):
            self._make_folders()
        with storing(self.incoming), self._locked("incoming", fcntl.LOCK_SH):
            return Incoming(self.incoming / (secrets.token_hex(12) + suffix), max_bytes)

    def path(self, sha256: str) -> Path:
        """Return where the file of this content is, if it is kept."""
        return self.folder / sha256[:2] / sha256

    @contextmanager
    def keep(self, incoming: Incoming) -> Iterator[Path]:
        """Put a received file in its place while the body of the ``with`` names it in the catalogue.

        Where the body raises, the file is removed again unless another part has the same content. The
        file is on the disk before its name is, and its name before the body: should the power fail, the
        catalogue names no file that is not whole.

        Raises:
            CatalogueUnavailable: The disk is full, read-only or failing.
        """
        sha256, path = incoming.sha256, self.path(incoming.sha256)
        try:
            with self._locked(sha256[:2], fcntl.LOCK_SH):
                with storing(path):
                    if not _holds(path, incoming.size):
                        incoming.sync()
                        made = not path.parent.is_dir()
                        path.parent.mkdir(mode=0o700, exist_ok=True)
                        incoming.path.rename(path)
                        if made:
                            _sync_folder(self.folder)
                    _sync_folder(path.parent)
                yield path
        except BaseException:
            self.discard([sha256])
            raise

    def discard(self, hashes: Iterable[str]) -> None:
        """Remove the files of these contents, except those that the catalogue holds."""
        for sha256 in hashes:
            if self.path(sha256).exists():
                with self._locked(sha256[:2], fcntl.LOCK_EX):
                    if not self._stored([sha256]):
                        self.path(sha256).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what dead processes left: unfinished files, and files that no part names.

        Returns:
            How many files were removed.
        """
        removed = 0
        self._make_folders()
        with self._locked("incoming", fcntl.LOCK_EX):
            for path in self.incoming.iterdir():
                if _abandoned(path):
                    path.unlink(missing_ok=True)
                    removed += 1
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            with self._locked(folder.name, fcntl.LOCK_EX):
                kept = [path.name for path in folder.iterdir()]
                for sha256 in set(kept).difference(self._stored(kept)):
                    (folder / sha256).unlink(missing_ok=True)
                    removed += 1
        if removed:
            log.info("removed %d unfinished or unused uploads", removed)
        return removed

    def _make_folders(self) -> None:
        """Make what a first upload needs; a catalogue without uploads has no such folders.

        They are made once. Should they go, so did the catalogue beside them, and the reader processes may
        read in those folders only that were there when they started.
        """
        if self._made and not self.incoming.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.incoming))
        self._made = True
        for needed in (self.incoming, self._locks):
            if not needed.is_dir():
                private_folder(needed)

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        descriptor = os.open(self._locks / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into ``CatalogueUnavailable``."""
    try:
        yield
    except OSError as error:
        raise CatalogueUnavailable(
            f"uploads cannot be stored: {os.strerror(error.errno or 0)}; see that the disk of the data folder"
            " is there, writable and not full, then try again",
            path=str(path),
            reason=os.strerror(error.errno or 0),
        ) from error


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _abandoned(path: Path) -> bool:
    """Tell whether no living process holds the file's lock."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
    return True


def _holds(path: Path, size: int) -> bool:
    """Tell whether the file is there as a whole; a loss of power may have left less of it."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
