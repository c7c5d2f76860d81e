"""Checks that every relative link in the documents leads to a file, and its anchor to a heading.

python contrib/scripts/check_links.py     # a line for each link that leads nowhere; exit 1 where there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")


def documents() -> list[Path]:
    """Return every document of the repository."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "contrib").rglob("*.md")])


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as sites and forges make them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        text = re.sub(r"[^\w\- ]", "", heading.lower()).strip()
        found |= {text.replace(" ", "-"), re.sub(r"[-\s]+", "-", text)}
    return found


def dead(path: Path) -> Iterator[str]:
    """Yield the links of a document that lead nowhere."""
    text = _CODE.sub("", _FENCE.sub("", path.read_text(encoding="utf-8")))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield f"{path.relative_to(ROOT)}: {link}"


def main() -> int:
    """Print what leads nowhere and return the exit status."""
    found = [line for path in documents() for line in dead(path)]
    print(*found, sep="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
