"""From directions to the plane of a picture."""

from __future__ import annotations

import numpy as np

from cadml_core import CadDocument, FloatMatrix, PictureRequest
from cadml_plugins.pictures._frame import own_axes

TOWARDS = np.array([-0.48, -0.72, 0.5])
"""From the part to the viewer: from the front, a little from the left, and from above. Not quite isometric,
so that the near and the far corner of a cube do not coincide."""
MARGIN = 0.05
"""Of the picture, on each side."""


def view_axes(document: CadDocument, request: PictureRequest) -> FloatMatrix:
    """Return the rows of a rotation (3, 3): to the right, upwards, towards the viewer."""
    view = document.view
    mesh = document.mesh if view is None else view.mesh()
    base = own_axes(mesh) if request.axes == "own" and mesh is not None else np.eye(3)
    towards = TOWARDS / np.linalg.norm(TOWARDS)
    right = np.cross([0.0, 0.0, 1.0], towards)
    right /= np.linalg.norm(right)
    seen: FloatMatrix = np.stack([right, np.cross(towards, right), towards]) @ base
    return seen


def fitted(low: FloatMatrix, high: FloatMatrix, width: float, height: float) -> tuple[float, FloatMatrix]:
    """Return scale and shift (2,) that centre a box in the picture; y grows upwards in both."""
    size = np.maximum(high - low, 0.0)
    room = np.array([width, height]) * (1.0 - 2.0 * MARGIN)
    largest = size / room
    scale = 1.0 / float(largest.max()) if largest.max() > 0.0 else 1.0
    shift: FloatMatrix = np.array([width, height]) / 2.0 - scale * (low + high) / 2.0
    return scale, shift
