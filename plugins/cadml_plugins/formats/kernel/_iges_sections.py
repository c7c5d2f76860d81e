"""The sections of an IGES file, checked without the kernel.

An IGES file has lines of 80 columns; column 73 names the section: Start, Global, Directory entry, Parameter
data, Terminate. The last line counts the lines of the other sections. That tells a truncated file from a
whole one: the kernel reads what is left without an error.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cadml_core import MalformedFile, UnsupportedContent

COLUMNS = 80
SECTIONS = "SGDPT"
_FIRST_LINE = re.compile(rb"(?:\xef\xbb\xbf)?[^\r\n]{60,100}?S {0,6}0*1 *(?:[\r\n]|$)")
_MARK = re.compile(rb"([SGDPT]) {0,6}(\d{1,7})\s*$")
_COUNT = re.compile(r"([SGDP])\s*(\d+)")
_UNITS = {
    1: "inch",
    2: "mm",
    4: "foot",
    5: "mile",
    6: "m",
    7: "km",
    8: "mil",
    9: "µm",
    10: "cm",
    11: "microinch",
}
"""Values of parameter 14 of the global section; 3 means that parameter 15 names the unit."""
_NAMES = {
    **{"IN": "inch", "INCH": "inch", "FT": "foot", "MI": "mile", "MIL": "mil", "UIN": "microinch"},
    **{"MM": "mm", "CM": "cm", "M": "m", "KM": "km", "UM": "µm"},
}
"""What the standard calls the units, in capitals."""

FACE_TYPES = frozenset({143, 144, 510})
"""Bounded surface, trimmed surface, face."""


@dataclass(frozen=True, slots=True)
class Sections:
    """What the text tells without the kernel."""

    globals: tuple[str, ...]
    """Parameters of the global section, in order, '' where defaulted."""
    entity_types: Counter[int]
    levels: tuple[str, ...]
    """Distinct levels that entities are on, in ascending order."""
    warnings: tuple[str, ...]

    def text(self, parameter: int) -> str:
        """Return a global parameter by its number in the standard, from 1."""
        return self.globals[parameter - 1] if parameter <= len(self.globals) else ""

    @property
    def unit(self) -> str | None:
        """The unit of length; None where none is stated, or none that the standard knows."""
        flag = self.text(14)
        number = int(flag) if flag.isdigit() else 0
        return _UNITS.get(number) or _NAMES.get(self.text(15).upper())

    @property
    def faces(self) -> int:
        """Faces that the directory lists."""
        return sum(self.entity_types[number] for number in FACE_TYPES)


def looks_like_iges(head: bytes) -> bool:
    """Tell whether a file may be IGES: its first line ends in ``S`` and the number 1."""
    return _FIRST_LINE.match(head) is not None


def read_sections(data: bytes) -> Sections:
    """Check the sections, and read what the kernel does not report.

    Raises:
        MalformedFile: The file is truncated, damaged or not IGES.
        UnsupportedContent: It is in the binary or the compressed form.
    """
    lines = _lines(data)
    found = _split(lines)
    warnings = _check_counts(found, len(lines))
    types, levels = _directory(found["D"])
    return Sections(
        globals=_parse_globals("".join(line[:72].ljust(72) for line in found["G"])),
        entity_types=types,
        levels=tuple(sorted(levels, key=int)),
        warnings=tuple(warnings),
    )


def for_kernel(data: bytes, sections: Sections) -> bytes | None:
    """Return the content as the kernel understands it; None where it does as it is, as nearly all.

    The kernel misreads a byte order mark and what is beyond column 80, and takes a unit whose name is not in
    capitals for millimetres.
    """
    bare = data.removeprefix(codecs.BOM_UTF8)
    lines = bare.splitlines()
    name = sections.text(15)
    wanted = name.upper() if name.upper() in _NAMES else name
    if len(bare) == len(data) and max(map(len, lines), default=0) <= COLUMNS and name == wanted:
        return None
    named, capitals = (f"{len(name)}H{text}".encode("latin-1", "replace") for text in (name, wanted))
    return b"\n".join(_line(line[:COLUMNS], named, capitals) for line in lines) + b"\n"


def _line(line: bytes, name: bytes, capitals: bytes) -> bytes:
    """Return a line, with the unit's name in capitals where it is one of the global section."""
    mark = _MARK.search(line, 60)
    return line.replace(name, capitals) if mark and mark[1] == b"G" else line


def _lines(data: bytes) -> list[bytes]:
    if not data.strip():
        raise MalformedFile("the file is empty: expected the lines of an IGES file", line=1, reason="empty")
    position = data.find(b"\0")
    if position >= 0:
        line = data.count(b"\n", 0, position) + 1
        raise MalformedFile(
            f"line {line} contains a NUL byte: the file was damaged in transfer or storage; export it again",
            line=line,
            reason="NUL byte",
        )
    lines = data.removeprefix(codecs.BOM_UTF8).splitlines()
    if lines[0][72:73] in (b"B", b"C"):
        raise UnsupportedContent("binary or compressed IGES: export it again as plain ASCII IGES")
    if not looks_like_iges(data):
        raise MalformedFile(
            "not an IGES file: its first line does not end in S and the number 1, in columns 73 to 80",
            line=1,
            reason="no marker",
        )
    return lines


def _split(lines: Sequence[bytes]) -> dict[str, list[str]]:
    """Return the lines of each section; refuse sections out of order and lines without one."""
    found: dict[str, list[str]] = {section: [] for section in SECTIONS}
    current = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        # Some programs miscount columns, so the mark is expected near column 73, not exactly there.
        mark = _MARK.search(line, 60)
        if mark is None:
            raise MalformedFile(
                f"line {number} names no section in columns 73 to 80: the file is truncated or damaged there",
                line=number,
                reason="truncated" if number == len(lines) else "no section",
            )
        section = mark[1].decode()
        if SECTIONS.index(section) < current:
            raise MalformedFile(
                f"line {number} belongs to section {section}, after section {SECTIONS[current]} has begun",
                line=number,
                reason="section order",
            )
        current = SECTIONS.index(section)
        found[section].append(line.decode("latin-1"))
        if section == "T":  # what follows the last line is not part of the file
            break
    return found


def _check_counts(found: dict[str, list[str]], line: int) -> list[str]:
    """Compare the sections with the counts in the last line; return warnings."""
    if not found["T"]:
        last = next((section for section in reversed(SECTIONS) if found[section]), "S")
        raise MalformedFile(
            f"the file is truncated at line {line}, in section {last}: its Terminate line is missing;"
            " export or copy it again",
            line=line,
            reason="truncated",
        )
    warnings = []
    for section, count in _COUNT.findall(found["T"][0][:72]):
        actual, stated = len(found[section]), int(count)
        if actual < stated:
            raise MalformedFile(
                f"section {section} has {actual} lines, but the Terminate line states {stated}: some are"
                " missing",
                line=line,
                reason="truncated",
                found=actual,
                expected=stated,
            )
        if actual > stated:
            warnings.append(f"section {section} has {actual} lines, but the Terminate line states {stated}")
    return warnings


def _directory(lines: Sequence[str]) -> tuple[Counter[int], set[str]]:
    """Count entities by type and collect their levels: fields 1 and 5 in the first line of each entity."""
    types: Counter[int] = Counter()
    levels = set()
    for line in lines[::2]:
        number, level = line[:8].strip(), line[32:40].strip() or "0"
        types[int(number) if number.isdigit() else 0] += 1
        if level.isdigit():  # a negative number points to a list of levels
            levels.add(level)
    return types, levels


def _parse_globals(text: str) -> tuple[str, ...]:
    """Split the global section at its own delimiters; strings are ``5HHELLO``.

    The first two parameters name the delimiters of parameters and of the record, which hold from there on. By
    default they are a comma and a semicolon.
    """
    named = re.match(r"\s*1H(.)", text)
    delimiter, end = named[1] if named else ",", ";"
    values: list[str] = []
    position = 0
    while position < len(text):
        value, position = _parameter(text, position, delimiter + end)
        values.append(value)
        if len(values) == 2 and value:
            end = value
        if position >= len(text) or text[position] == end:
            break
        position += 1
    return tuple(values)


def _parameter(text: str, position: int, stops: str) -> tuple[str, int]:
    """Return one parameter and the position of the delimiter after it."""
    hollerith = re.compile(r"\s*(\d+)H").match(text, position)
    if hollerith:
        start = hollerith.end()
        stop = start + int(hollerith[1])
        value, position = text[start:stop], stop
    else:
        value, start = "", position
        while position < len(text) and text[position] not in stops:
            position += 1
        value = text[start:position]
    while position < len(text) and text[position] not in stops:
        position += 1
    return value.strip(), position
