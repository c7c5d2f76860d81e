"""Recognises the code page of drawings that declare a wrong one.

Many programs declare ANSI_1252 whatever they write. So each candidate is scored by how plausible the text is
that it decodes the bytes to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

_SAMPLE_BYTES = 1 << 16
_CERTAIN_ENOUGH = 0.5
"""Least score, of -1 to 1, that another code page than the declared one must have."""
_MARGIN = 0.15
"""How much better than the declared one it must score: in doubt the declaration holds."""
_WESTERN_SIGNS = frozenset("°±²³µ·×÷ØøÅå½¼¾§©®€–—’“”«»ßäöüÄÖÜéèàç")
"""What technical texts in Western European languages use beyond ASCII."""
_RUSSIAN_VOWELS = frozenset("АЕЁИОУЫЭЮЯаеёиоуыэюя")


class CodePage(msgspec.Struct, frozen=True):
    """The encoding that the text of a drawing was decoded with, and the one that it has."""

    declared: str
    actual: str

    @property
    def wrong(self) -> bool:
        """Whether the declared encoding is not the actual one, so that names must be decoded again."""
        return self.declared != self.actual

    def readable(self, name: str) -> str:
        """Decode a name again. Bytes that are not valid in the actual encoding become U+FFFD."""
        if name.isascii():
            return name
        try:
            raw = name.encode(self.declared, "surrogateescape")
        except UnicodeEncodeError:  # it has characters from \\U+ escapes, which are right
            return name.encode("utf-8", "replace").decode("utf-8")
        return raw.decode(self.actual, "replace")


def code_page(declared: str, names: Iterable[str]) -> CodePage:
    """Tell from the text itself how it is encoded.

    Text beyond ASCII that is valid UTF-8 is UTF-8: text in another encoding hardly ever is.

    Args:
        declared: The encoding it was decoded with, undecodable bytes as surrogate escapes.
        names: Layer and block names, and texts.
    """
    sample = _sample(declared, names)
    if not sample:
        return CodePage(declared, declared)
    if _decodes(sample, "utf-8"):
        return CodePage(declared, "utf-8")
    # Programs that declare something else than the default usually mean it.
    if declared != "cp1252" and _decodes(sample, declared):
        return CodePage(declared, declared)
    scores = {encoding: _score(sample, encoding, judge) for encoding, judge in _CANDIDATES.items()}
    best = max(scores, key=scores.__getitem__)
    trusted = scores.get(declared, 0.0)
    if scores[best] >= _CERTAIN_ENOUGH and scores[best] >= trusted + _MARGIN:
        return CodePage(declared, best)
    return CodePage(declared, declared)


def _sample(declared: str, names: Iterable[str]) -> list[bytes]:
    sample: dict[bytes, None] = {}
    size = 0
    for name in names:
        if not name.isascii():
            try:
                raw = name.encode(declared, "surrogateescape")
            except UnicodeEncodeError:
                continue
            sample[raw] = None
            size += len(raw)
            if size > _SAMPLE_BYTES:
                break
    return list(sample)


def _decodes(sample: list[bytes], encoding: str) -> bool:
    try:
        return all(raw.decode(encoding) is not None for raw in sample)
    except UnicodeDecodeError:
        return False


def _score(sample: list[bytes], encoding: str, judge: Callable[[str], float]) -> float:
    """Return the mean plausibility, -1 to 1, of the text beyond ASCII; undecodable text has -1."""
    total, weight = 0.0, 0
    for raw in sample:
        high = sum(byte > 0x7F for byte in raw)
        weight += high
        try:
            total += high * judge(raw.decode(encoding))
        except UnicodeDecodeError:
            total -= high
    return total / weight


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _double_byte(encoding: str, common: range, rare: range) -> Callable[[str], float]:
    """Return a judge of East Asian text.

    It looks at the lead bytes of characters in the national standard: those of the first level are the
    characters of everyday use.
    """

    def judge(text: str) -> float:
        return _mean([_lead_score(char) for char in text if not char.isascii()])

    def _lead_score(char: str) -> float:
        raw = char.encode(encoding)
        if len(raw) == 1:
            return 0.1  # a single-byte character, as many arbitrary bytes are: it proves little
        if "\u3040" <= char <= "\u30ff" or raw[0] in common:
            return 1.0
        return 0.3 if raw[0] in rare else -0.5

    return judge


def _gbk(text: str) -> float:
    """Judge simplified Chinese.

    GB 2312 has the lead bytes B0 to D7 for common characters and up to F7 for rare ones, and no second byte
    below A1; the rest of GBK is hardly used.
    """
    scores = []
    for char in text:
        raw = char.encode("gbk")
        if len(raw) == 2:
            standard = raw[1] >= 0xA1
            scores.append(-0.5 if not standard else 1.0 if 0xB0 <= raw[0] <= 0xD7 else 0.3)
    return _mean(scores)


def _cyrillic(text: str) -> float:
    """Judge Russian: whole words of Cyrillic letters with vowels, capitals in front or throughout."""
    scores: list[float] = []
    for word in re.findall(r"\w+", text):
        letters = [char for char in word if not char.isascii()]
        known = all("\u0410" <= char <= "\u044f" or char in "Ёё№" for char in letters)
        regular = len(word) > 1 and (word.islower() or word.isupper() or word.istitle())
        spoken = sum(char in _RUSSIAN_VOWELS for char in letters) >= 0.2 * len(letters)
        score = -0.5 if not known else 1.1 if regular and spoken else 0.6 if regular else 0.3
        scores += [score] * len(letters)
    return _mean(scores)


def _western(text: str) -> float:
    """Judge Western European text: signs, and single accented letters among plain ones."""
    scores: list[float] = []
    for before, char, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if char.isascii():
            continue
        lonely = before.isascii() and after.isascii()
        if char in _WESTERN_SIGNS and lonely:
            scores.append(1.0)
        elif char.isalpha():
            scores.append(0.8 if lonely and (before.isalpha() or after.isalpha()) else -0.3)
        else:
            scores.append(0.2 if lonely else -0.5)
    return _mean(scores)


_CANDIDATES: dict[str, Callable[[str], float]] = {
    "cp1252": _western,
    "gbk": _gbk,
    "cp932": _double_byte("cp932", range(0x88, 0x98), range(0x81, 0xA0)),
    "big5": _double_byte("big5", range(0xA4, 0xC7), range(0xC9, 0xFA)),
    "cp1251": _cyrillic,
}
