"""Read a model file and its metadata, once, from inside the model folder only, without following links."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from cadml_core.errors import InvalidInput, ModelRejected, NotFound
from cadml_core.printable import unquoted

_STAGE = "model_reload"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO must not wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
METADATA_SUFFIX = ".json"
_MAX_METADATA_BYTES = 1024 * 1024

InputKind = Literal["raw", "embedding"]
"""What a row of the model's input is: the raw values of a feature version, or its embedding."""


class ModelFile(msgspec.Struct, frozen=True):
    """The bytes of a model: everything that is checked or loaded is checked in, and loaded from, these."""

    path: str
    """Relative to the model folder, with forward slashes."""
    data: bytes
    sha256: str


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a model was trained on: ``model.pkl.json`` beside ``model.pkl``; unknown keys are passed over."""

    feature_version: str
    input: InputKind = "raw"
    dimension: int | None = None
    """Numbers in one row."""
    labels: tuple[str, ...] = ()
    accuracy: float | None = None
    """Cross-validated share of right answers."""
    trained_at: str | None = None
    sha256: str | None = None
    """Of the model file; where it is there it must fit."""


def read_model(root: Path, path: str, max_bytes: int) -> ModelFile:
    """Read one file of the model folder.

    Args:
        root: The model folder; it may itself be reached through a link.
        path: Relative to the folder, or an absolute path inside it.
        max_bytes: The largest file.

    Raises:
        InvalidInput: The path leads out of the folder, through a link, or to no regular file.
        NotFound: There is no such file.
        ModelRejected: It is too large.
    """
    relative = _inside(root, path)
    try:
        descriptor = _open(root, relative)
    except FileNotFoundError:
        raise NotFound(f"there is no model file {path}", stage=_STAGE, path=path) from None
    except OSError as error:
        raise _unopenable(path, error) from None
    data = _read(descriptor, path, max_bytes)
    return ModelFile(relative.as_posix(), data, hashlib.sha256(data).hexdigest())


def read_metadata(root: Path, model: ModelFile) -> ModelMetadata | None:
    """Read the file beside a model, None where there is none.

    Raises:
        InvalidInput: It cannot be opened, or is not valid metadata.
        ModelRejected: It is too large, or describes another model.
    """
    path = model.path + METADATA_SUFFIX
    try:
        descriptor = _open(root, PurePath(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unopenable(path, error) from None
    text = _read(descriptor, path, _MAX_METADATA_BYTES)
    try:
        metadata = msgspec.json.decode(text, type=ModelMetadata)
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            f"{path} is not valid model metadata: {unquoted(str(error))}", stage="model_reload", path=path
        ) from None
    if metadata.sha256 is not None and metadata.sha256.lower() != model.sha256:
        raise ModelRejected(
            f"{path} describes another model: its sha256 is not that of {model.path}",
            code="MODEL_HASH_MISMATCH",
            expected=metadata.sha256.lower(),
            found=model.sha256,
        )
    return metadata


def _inside(root: Path, path: str) -> PurePath:
    if not path or "\0" in path:
        raise InvalidInput("the path of the model is empty or contains a NUL", stage=_STAGE, path=path)
    wanted = Path(path)
    if wanted.is_absolute():
        for folder in (root, root.absolute(), root.resolve()):
            if wanted.is_relative_to(folder):
                wanted = wanted.relative_to(folder)
                break
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.parts:
        raise InvalidInput(
            "models are loaded from the model folder only; give a path inside it", stage=_STAGE, path=path
        )
    return PurePath(wanted)


def _unopenable(path: str, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be opened: {error.strerror}. Models are regular files, reached without links.",
        stage=_STAGE,
        path=path,
    )


def _read(descriptor: int, shown: str, max_bytes: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{shown} is not a regular file", stage=_STAGE, path=shown)
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
    # One folder after the other, each opened inside the last, so that no link can get into the path.
    folder = os.open(root.resolve(), _FOLDER_FLAGS)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(relative.parts[-1], _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
