"""Pictures of IGES."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import PictureMaker, hookimpl
from cadml_plugins.pictures._shapes import ShapePictures


@hookimpl
def cadml_pictures() -> Iterable[PictureMaker]:
    """Register the maker."""
    return [ShapePictures("iges")]
