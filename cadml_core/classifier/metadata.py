"""What a model was trained on: a small JSON file beside it, ``model.pkl.json`` for ``model.pkl``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from cadml_core.classifier.files import ModelFile, read_beside
from cadml_core.errors import InvalidInput, ModelRejected

SUFFIX = ".json"
_MAX_BYTES = 1024 * 1024

InputKind = Literal["raw", "embedding"]
"""What a row of the model's input is: the raw values of a feature version, or its embedding."""


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file; keys that are not listed are passed over."""

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


def read_metadata(root: Path, model: ModelFile) -> ModelMetadata | None:
    """Read the file beside a model, None where there is none.

    Raises:
        InvalidInput: It is not readable as metadata.
        ModelRejected: It describes another model.
    """
    path = model.path + SUFFIX
    text = read_beside(root, path, _MAX_BYTES)
    if text is None:
        return None
    try:
        metadata = msgspec.json.decode(text, type=ModelMetadata)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{path} is no model metadata: {error}", stage="model_reload", path=path) from None
    if metadata.sha256 is not None and metadata.sha256.lower() != model.sha256:
        raise ModelRejected(
            f"{path} describes another model: its sha256 is not that of {model.path}",
            code="MODEL_HASH_MISMATCH",
            expected=metadata.sha256.lower(),
            found=model.sha256,
        )
    return metadata
