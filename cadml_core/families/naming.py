"""What a family is called: what most of its members have in their labels or names, and their sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from cadml_core.catalog.records import Part

_SHARED = 0.6
"""Share of the members that must have a word or label."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_THREAD = re.compile(r"(?<![a-z0-9])m(\d{1,3}(?:[.,]\d)?)(?![0-9])", re.IGNORECASE)
_MOST_WORDS = 4
_EMPTY = frozenset(("step", "stp", "stl", "iges", "igs", "part", "body", "copy", "and", "the", "with"))


def words_of(parts: Sequence[Part]) -> str | None:
    """Return the label that most members have, else the words in most of their names; None for none."""
    labels = Counter(part.label for part in parts if part.label)
    label, count = max(labels.items(), key=lambda item: (item[1], item[0]), default=(None, 0))
    if label is not None and count >= _SHARED * len(parts):
        return label.replace("_", " ")
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for part in parts:
        words = [word for word in _WORD.findall(PurePath(part.name).stem.lower()) if word not in _EMPTY]
        counts.update(set(words))
        for place, word in enumerate(dict.fromkeys(words)):
            places[word] += place
    shared = [word for word, count in counts.items() if count >= _SHARED * len(parts)]
    shared.sort(key=lambda word: (places[word] / counts[word], word))
    return " ".join(shared[:_MOST_WORDS]) or None


def sizes_of(parts: Sequence[Part], longest: Sequence[float]) -> str | None:
    """Return the range of thread sizes that names state, else of the longest extents; None where unknown."""
    stated = filter(None, (_THREAD.search(part.name) for part in parts))
    threads = [float(found[1].replace(",", ".")) for found in stated]
    if len(threads) >= _SHARED * len(parts):
        low, high = min(threads), max(threads)
        return f"M{low:g}" if low == high else f"M{low:g}-M{high:g}"
    if not longest:
        return None
    low, high = min(longest), max(longest)
    return f"{low:.3g} mm" if high - low <= 0.005 * high else f"{low:.3g}-{high:.3g} mm"
