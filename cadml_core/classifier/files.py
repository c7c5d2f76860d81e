"""Read a model file once, from inside the model folder only, without following links."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePath

import msgspec

from cadml_core.errors import InvalidInput, ModelRejected, NotFound

_STAGE = "model_reload"
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO must not wait for a writer.
_FILE_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


class ModelFile(msgspec.Struct, frozen=True):
    """The bytes of a model: everything that is checked or loaded is checked in, and loaded from, these."""

    path: str
    """Relative to the model folder, with forward slashes."""
    data: bytes
    sha256: str


def read_model(root: Path, path: str, max_bytes: int) -> ModelFile:
    """Read one file of the model folder.

    Args:
        root: The model folder; it may itself be reached through a link.
        path: Relative to the folder, or an absolute path inside it.
        max_bytes: The largest file.

    Raises:
        InvalidInput: The path leads out of the folder, through a link, or to what is no regular file.
        NotFound: There is no such file.
        ModelRejected: It is too large.
    """
    relative = _inside(root, path)
    data = _read(root, relative, path, max_bytes)
    return ModelFile(relative.as_posix(), data, hashlib.sha256(data).hexdigest())


def read_beside(root: Path, path: str, max_bytes: int) -> bytes | None:
    """Read a file that may be missing; the rules are those of ``read_model``."""
    try:
        return _read(root, _inside(root, path), path, max_bytes)
    except NotFound:
        return None


def _inside(root: Path, path: str) -> PurePath:
    if not path or "\0" in path:
        raise InvalidInput("the path of the model is empty or holds a NUL", stage=_STAGE, path=path)
    wanted = Path(path)
    if wanted.is_absolute():
        for folder in (root, root.absolute(), root.resolve()):
            if wanted.is_relative_to(folder):
                wanted = wanted.relative_to(folder)
                break
    if wanted.is_absolute() or wanted.drive or ".." in wanted.parts or not wanted.parts:
        raise InvalidInput(
            "models are loaded from the model folder only; give a path inside it", stage=_STAGE, path=path
        )
    return PurePath(wanted)


def _read(root: Path, relative: PurePath, shown: str, max_bytes: int) -> bytes:
    try:
        descriptor = _open(root, relative)
    except FileNotFoundError:
        raise NotFound(f"there is no model file {shown}", stage=_STAGE, path=shown) from None
    except OSError as error:
        raise InvalidInput(
            f"{shown} cannot be opened: {error.strerror}. Models are regular files, reached without links.",
            stage=_STAGE,
            path=shown,
        ) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{shown} is no regular file", stage=_STAGE, path=shown)
    with os.fdopen(descriptor, "rb") as stream:
        # One byte more than allowed, in case the file grows while it is read.
        data = stream.read(max_bytes + 1) if status.st_size <= max_bytes else b""
    found = max(status.st_size, len(data))
    if found > max_bytes:
        raise ModelRejected(
            f"{shown} has {found:,} bytes, more than the {max_bytes:,} of MODEL_MAX_MB",
            code="MODEL_SIZE_EXCEEDED",
            path=shown,
            found=found,
            allowed=max_bytes,
        )
    return data


def _open(root: Path, relative: PurePath) -> int:
    if os.open not in os.supports_dir_fd:  # Windows: no race-free way, so compare what it resolves to
        wanted = root.resolve() / relative
        if wanted.resolve() != wanted:
            raise OSError(0, "it is reached through a link")
        return os.open(wanted, _FILE_FLAGS)
    folder = os.open(root.resolve(), _FOLDER_FLAGS)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(relative.parts[-1], _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
