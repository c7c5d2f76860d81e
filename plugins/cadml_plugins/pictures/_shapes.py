"""Draws 3D files: the visible lines of exact shapes, shaded facets, or curves in space."""

from __future__ import annotations

import numpy as np

from cadml_core import CadDocument, Picture, PictureRequest, UnsupportedContent
from cadml_plugins.pictures._projection import view_axes
from cadml_plugins.pictures._shading import shaded_picture
from cadml_plugins.pictures._svg import line_picture


class ShapePictures:
    """Draws what a document offers: visible lines, else facets, else curves.

    Args:
        name: The format; ``any`` for those without a maker of their own.
    """

    version = "1"

    def __init__(self, name: str) -> None:
        self.name = name

    def draw(self, document: CadDocument, request: PictureRequest) -> Picture:
        """Draw a document.

        Raises:
            UnsupportedContent: It has no surface and no curve.
        """
        view = document.view
        axes = view_axes(document, request)
        lines = None if view is None else view.lines(axes)
        if lines:
            return line_picture(lines, request)
        mesh = document.mesh if view is None else view.mesh()
        if mesh is not None and len(mesh.triangles):
            return shaded_picture(mesh, axes, request)
        curves = [] if view is None else [curve for curve in view.curves() if len(curve) > 1]
        if not curves:
            raise UnsupportedContent("there is no surface and no curve to draw", stage="picture")
        if np.ptp(np.concatenate(curves)[:, 2]) == 0.0:  # all in one plane: seen from above
            axes = np.eye(3)
        return line_picture([curve @ axes[:2].T for curve in curves], request)
