"""A badge for a plugin's README: how many checks it passes."""

from __future__ import annotations

_LABEL = "cadml"


def badge_svg(passed: int, total: int) -> str:
    """Return a badge as SVG, 20 pixels high: green where every check passed, else red."""
    text = f"{passed} of {total} checks"
    left, right = 46, 12 + 7 * len(text)
    colour = "#2b7a3d" if passed == total else "#b3261e"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"'
        f' aria-label="{_LABEL}: {text}">'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{_LABEL}</text>'
        f'<text x="{left + right / 2:g}" y="14">{text}</text></g></svg>\n'
    )
