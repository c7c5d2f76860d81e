"""A picture of the library: every part a point, parts that are alike near one another, as one SVG file."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from cadml_core.printable import printable

_SIDE, _MARGIN, _LEGEND = 900, 30, 260
_MOST_POINTS, _MOST_COLOURS = 20_000, 24


def flattened(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the two directions in which the points differ most, (n, 2); the same for the same points."""
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2))
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    chosen = axes[:, ::-1][:, :2]
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    flat = centred @ (chosen * signs)
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def scatter(
    places: NDArray[np.float64], names: Sequence[str], groups: Sequence[str | None], title: str
) -> str:
    """Return an SVG with a point for each part, in the colour of its group; the largest groups have a colour.

    Args:
        places: (n, 2).
        names: Shown when one points at a part.
        groups: Label, family or format; None for none.
        title: What it shows.
    """
    step = max(1, -(-len(names) // _MOST_POINTS))
    counts = Counter(group for group in groups if group is not None)
    ordered = [group for group, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    colours = {group: _colour(place) for place, group in enumerate(ordered[:_MOST_COLOURS])}
    scaled = _scaled(places)
    points = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colours.get(group or "", "#b5bcc4")}">'
        f"<title>{_text(name)}{_text(f' · {group}' if group else '')}</title></circle>"
        for (x, y), name, group in list(zip(scaled.tolist(), names, groups, strict=True))[::step]
    ]
    shown = f"{len(points):,} of {len(names):,} parts" if step > 1 else f"{len(names):,} parts"
    legend = [
        f'<circle cx="{_SIDE + 14}" cy="{60 + 22 * place}" r="6" fill="{colours[group]}"/>'
        f'<text x="{_SIDE + 28}" y="{65 + 22 * place}">{_text(group[:28])} ({counts[group]:,})</text>'
        for place, group in enumerate(colours)
    ]
    if more := len(ordered) - len(colours):
        y = 65 + 22 * len(colours)
        legend.append(f'<text x="{_SIDE + 28}" y="{y}" fill="#67717c">and {more:,} more, grey</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE + _LEGEND} {_SIDE}"'
            ' font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{_text(title)}</title>",
            f'<rect width="{_SIDE + _LEGEND}" height="{_SIDE}" fill="#fff"/>',
            f'<text x="{_SIDE + 8}" y="30" font-weight="600">{_text(title)}: {shown}</text>',
            '<g fill-opacity="0.75">',
            *points,
            "</g>",
            *legend,
            "</svg>\n",
        ]
    )


def _scaled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit points into the square; the few that lie far out are put at its border."""
    if not len(places):
        return places
    low, high = np.percentile(places, [1, 99], axis=0)
    spread = np.where(high > low, high - low, 1.0)
    share = np.clip((places - low) / spread, -0.05, 1.05)
    return np.asarray(_MARGIN + (share + 0.05) / 1.1 * (_SIDE - 2 * _MARGIN))


def _colour(place: int) -> str:
    """Return colours that differ: hues by the golden angle, every other one darker."""
    red, green, blue = colorsys.hls_to_rgb((place * 0.618034) % 1.0, (0.42, 0.58)[place % 2], 0.65)
    return f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"


def _text(text: str) -> str:
    return escape(printable(text))
