"""ASCII STL: any case and white space, several solids, and every fault with its line.

There are three ways to read facets, from the fastest to the most tolerant. A regular piece is scanned as
columns of bytes (``_scan``). Otherwise a section is split into words, which are checked column by column.
What does not have the usual form there is read word by word, which accepts a known variation or names the
line of the fault. All three give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from cadml_core import LimitExceeded, MalformedFile
from cadml_plugins.formats.stl._scan import COORDINATES, KEYWORDS, WORDS, scan

PIECE_BYTES = 1 << 19
"""Read at a time: large enough that the cost of a piece does not matter, small enough to bound memory."""
LONGEST_FACET_BYTES = 1 << 16
"""A text without an ``endfacet`` in so many bytes is not STL; a facet usually takes about 250."""
_OWN_WORDS = frozenset(
    (b"solid", b"facet", b"normal", b"outer", b"loop", b"vertex", b"endloop", b"endfacet", b"endsolid")
)
_LIKE_A_NUMBER = re.compile(
    rb"[-+]?(?:[0-9][-+0-9.,eEdD]*|\.[-+0-9.,eEdD]+|nan|inf|infinity|1\.#[a-z]+)", re.IGNORECASE
)
LARGEST = float(np.finfo(np.float32).max)
"""STL numbers are single precision, so larger ones are infinite there."""

_Fail = Callable[[int, str], NoReturn]

_WORD = re.compile(rb"\S+")
_NUMBER = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_COMMENT = re.compile(rb"#[^\r\n]*")
_HEADER = re.compile(rb"(?:(?<=\s)|(?<![\s\S]))(end[ \t]*)?solid(?!\S)([^\r\n]*)", re.IGNORECASE)
_LONGEST_END = 32
"""How far before ``solid`` its ``end`` may begin, blanks between them included."""
_BODY_IN_HEADER = re.compile(rb"\s(?=facet\s+(normal|outer)\s|endsolid\b)", re.IGNORECASE)


class AsciiFacets:
    """The facets of an open ASCII STL, a piece at a time.

    After the iteration ``names`` has the name of each solid in order (often empty), and
    ``oddities`` a sentence for each departure from the format that was accepted.
    """

    def __init__(self, file: BinaryIO, max_triangles: int) -> None:
        self._file = file
        self._allowed = max_triangles
        self._facets = 0
        self._open = False
        self.names: list[str] = []
        self.oddities: list[str] = []

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        """Yield float64 (m, 3, 3): facet, corner, coordinate.

        Raises:
            MalformedFile: A word is missing, unexpected or not a number; context has the line.
            LimitExceeded: More facets than ``max_triangles``.
        """
        for start, text in self._pieces():
            # The scan reads facets only; a piece with a header line is read section by section.
            corners = scan(text) if self._open else None
            if corners is None:
                yield from self._by_section(text, start)
            else:
                self._count(len(corners))
                yield corners
        if self._open:
            self._accept("the last solid is not closed by 'endsolid'; all its facets are complete")

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        """Cut the file after an ``endfacet``, so that no facet and no header line is split."""
        start, rest = 0, b""
        self._file.seek(0)
        while block := self._file.read(PIECE_BYTES):
            text = rest + block
            # Lower-casing every piece would cost as much as scanning it, so the usual spellings come first.
            cut = max(text.rfind(b"endfacet"), text.rfind(b"ENDFACET"))
            if cut < 0:
                cut = text.lower().rfind(b"endfacet")
            if cut < 0 and len(text) > PIECE_BYTES + LONGEST_FACET_BYTES:
                self._fail(start, f"no 'endfacet' in {len(text):,} bytes")
            cut = 0 if cut < 0 else cut + len(b"endfacet")
            if cut:
                yield start, text[:cut]
            start, rest = start + cut, text[cut:]
        if rest:
            yield start, rest

    def _by_columns(self, words: list[bytes], text: bytes, start: int) -> NDArray[np.float64]:
        """Convert the coordinates among words that are facets in the usual form."""
        columns = [word for place in COORDINATES for word in words[place::WORDS]]
        try:
            numbers = np.array(list(map(float, columns)))
        except ValueError:
            return self._word_by_word(text, start)
        # float() accepts 1_000, nan and inf, which STL does not; only the reading by words can tell where.
        if b"_" in text or not max(numbers.max(), -numbers.min()) <= LARGEST:
            return self._word_by_word(text, start)
        self._count(len(words) // WORDS)
        return numbers.reshape(9, -1).T.reshape(-1, 3, 3)

    def _by_section(self, text: bytes, start: int) -> Iterator[NDArray[np.float64]]:
        """Read a piece that has header lines, comments, or facets in an unusual form."""
        text = self._blank_out(text)
        lowered = text.lower()
        position = 0
        while position < len(text):
            # The pattern is slow over facets; the word it needs is found quickly.
            word = lowered.find(b"solid", position)
            header = _HEADER.search(text, max(position, word - _LONGEST_END)) if word >= 0 else None
            end = header.start() if header else len(text)
            section = text[position:end]
            if words := section.split():
                if not self._open:
                    self._accept("facets stand outside of 'solid ... endsolid'")
                if _has_usual_form(words):
                    yield self._by_columns(words, section, start + position)
                else:
                    yield self._word_by_word(section, start + position)
            position = self._enter(header) if header else end

    def _blank_out(self, text: bytes) -> bytes:
        """Overwrite byte-order marks and comments with blanks, so that positions stay correct."""
        text = text.replace(b"\xef\xbb\xbf", b"   ")
        if b"#" in text and _COMMENT.search(text):
            self._accept("comments (#), which STL does not have, were ignored")
            return _COMMENT.sub(lambda match: b" " * len(match[0]), text)
        return text

    def _enter(self, header: re.Match[bytes]) -> int:
        """Record a ``solid`` or ``endsolid`` line; return where the text after it begins."""
        name = header[2]
        if body := _BODY_IN_HEADER.search(name):
            name = name[: body.start()]
        closing = header[1] is not None
        if closing and header[1][-1:].isspace():
            self._accept("solids are closed by 'end solid', two words")
        if closing != self._open:
            self._accept("'solid' and 'endsolid' do not alternate")
        self._open = not closing
        if not closing:
            self.names.append(_decoded(name.strip()))
        return header.start(2) + len(name)

    def _word_by_word(self, text: bytes, start: int) -> NDArray[np.float64]:
        reader = _Words(text, start, self._fail)
        corners: list[list[float]] = []
        while reader.more():
            reader.expect(b"facet")
            if not reader.skip_normal():
                self._accept("facets state no normal")
            reader.expect(b"outer")
            reader.expect(b"loop")
            for _ in range(3):
                reader.expect(b"vertex")
                corners.append([reader.number(), reader.number(), reader.number()])
            reader.expect(b"endloop")
            reader.expect(b"endfacet")
        self._count(len(corners) // 3)
        return np.array(corners, dtype=np.float64).reshape(-1, 3, 3)

    def _count(self, facets: int) -> None:
        self._facets += facets
        if self._facets > self._allowed:
            raise LimitExceeded("max_triangles", found=self._facets, allowed=self._allowed)

    def _accept(self, oddity: str) -> None:
        if oddity not in self.oddities:
            self.oddities.append(oddity)

    def _fail(self, position: int, found: str) -> NoReturn:
        """Refuse the file. Lines are counted only here, as good files need no line numbers."""
        self._file.seek(0)
        before = self._file.read(position)
        # Files from old Mac programs end lines with a carriage return alone.
        line = 1 + (before.count(b"\n") or before.count(b"\r"))
        raise MalformedFile(f"line {line}: {found}", line=line, position=position)


def _has_usual_form(words: list[bytes]) -> bool:
    """Tell whether the words are whole facets of 21 words each, keywords in any case."""
    if not words or len(words) % WORDS:
        return False
    return all(
        {word.lower() for word in set(words[place::WORDS])} == {keyword}
        for place, keyword in KEYWORDS.items()
    )


def _decoded(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


class _Words:
    """A cursor over the words of a text, with the position of each."""

    def __init__(self, text: bytes, start: int, fail: _Fail) -> None:
        self._words = list(_WORD.finditer(text))
        self._start = start
        self._end = start + len(text)
        self._fail = fail
        self._next = 0

    def more(self) -> bool:
        return self._next < len(self._words)

    def expect(self, keyword: bytes) -> None:
        word = self._take(f"'{keyword.decode()}'")
        if word.lower() != keyword:
            self._refuse(f"found {_shown(word)}, expected '{keyword.decode()}'{_hint(word, keyword)}")

    def skip_normal(self) -> bool:
        """Skip ``normal`` and three words, whatever they are: normals are computed from the vertices."""
        if not self.more() or self._words[self._next][0].lower() != b"normal":
            return False
        for wanted in ("'normal'", *["a component of the normal"] * 3):
            word = self._take(wanted)
            if word.lower() in (b"outer", b"vertex"):
                self._refuse(f"found {_shown(word)}, expected {wanted}")
        return True

    def number(self) -> float:
        word = self._take("a number")
        if _NUMBER.fullmatch(word) is None:
            self._refuse(f"the coordinate {_shown(word)} is not a number{_number_hint(word)}")
        value = float(word)
        if not abs(value) <= LARGEST:
            self._refuse(f"the coordinate {_shown(word)} is beyond single precision (±3.4e38)")
        return value

    def _take(self, wanted: str) -> bytes:
        if not self.more():
            self._fail(self._end, f"the text ends within a facet, expected {wanted}; the file is truncated")
        word = self._words[self._next][0]
        self._next += 1
        return word

    def _refuse(self, found: str) -> NoReturn:
        self._fail(self._start + self._words[self._next - 1].start(), found)


def _shown(word: bytes) -> str:
    """Return a word that the format or a number may have; of others, how long they are: nothing is quoted."""
    if word.lower() in _OWN_WORDS or (len(word) <= 40 and _LIKE_A_NUMBER.fullmatch(word)):
        return f"'{word.decode('latin-1')}'"
    return f"a word of {len(word):,} characters"


def _hint(word: bytes, keyword: bytes) -> str:
    if keyword == b"endloop" and word.lower() == b"vertex":
        return "; a facet has exactly three vertices"
    return ""


def _number_hint(word: bytes) -> str:
    if b"," in word:
        return "; decimals are written with a point, export the file again with an English locale"
    if word.lower().lstrip(b"+-") in (b"nan", b"inf", b"infinity", b"1.#qnan", b"-1.#ind", b"1.#inf"):
        return "; the exporter failed on this facet, repair the mesh"
    return ""
