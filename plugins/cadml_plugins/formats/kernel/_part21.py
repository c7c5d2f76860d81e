"""The outline of a STEP exchange file, checked without the kernel.

ISO 10303-21 ("part 21") is the clear-text encoding: a header, one or more data sections of ``#7=NAME(...);``
records, and an end marker. The kernel reads a truncated file without an error, and an assembly that contains
itself can crash it; both are detected here, in one pass over the bytes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from cadml_core import MalformedFile

MAGIC = b"ISO-10303-21;"
_COMMENT = re.compile(rb"/\*.*?\*/", re.DOTALL)
_LEADING = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|/\*.*?\*/)*", re.DOTALL)
_DATA = re.compile(rb"\bDATA\s*(?:\([^;]*\)\s*)?;")
_END = re.compile(rb"END-ISO-10303-21\s*;")
_STRING = rb"'((?:[^']|'')*)'"
_PRODUCT = re.compile(rb"=\s*PRODUCT\s*\(\s*" + _STRING + rb"\s*,\s*" + _STRING)
_USAGE = re.compile(
    rb"=\s*NEXT_ASSEMBLY_USAGE_OCCURRENCE\s*\((?:\s*(?:'(?:[^']|'')*'|\$)\s*,){3}\s*(#\d+)\s*,\s*(#\d+)"
)
_OTHER_FILE = re.compile(rb"=\s*DOCUMENT_FILE\s*\(\s*" + _STRING)
_ARGUMENT = re.compile(rb"'(?:[^']|'')*'|[(),;]|[^'(),;\s]+")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the text tells without the kernel."""

    schema: str
    originating_system: str
    products: tuple[str, ...]
    """Distinct names of the products, in order."""
    faces: int
    """Faces that the data sections define, each once; assemblies may place them many times."""
    assembly_depth: int
    """Longest chain of assemblies within assemblies; 0 for a single part."""
    other_files: tuple[str, ...]
    """Names of other files with components of this assembly."""


def looks_like_step(head: bytes) -> bool:
    """Tell whether a file may be STEP: its marker after blanks and comments."""
    start = _LEADING.match(head)
    return start is not None and head.startswith(MAGIC, start.end())


def read_skeleton(data: bytes) -> Skeleton:
    """Check the outline of an exchange file, and read what the kernel does not report.

    Raises:
        MalformedFile: The file is truncated, damaged or not STEP, or an assembly contains itself.
    """
    _check_head(data)
    body = _DATA.search(data)
    if body is None:
        raise MalformedFile("the file has no DATA section: it is truncated in its header", reason="truncated")
    _check_end(data, body.end())
    header = _COMMENT.sub(b"", data[: body.start()])
    return Skeleton(
        schema=_argument(header, b"FILE_SCHEMA", 0).partition(" {")[0],
        originating_system=_argument(header, b"FILE_NAME", 5),
        products=tuple(dict.fromkeys(_product_names(data))),
        # Counting words in the whole text is quick; a name that contains one makes the number too large.
        faces=data.count(b"ADVANCED_FACE") + data.count(b"FACE_SURFACE"),
        assembly_depth=_assembly_depth(data),
        other_files=tuple(dict.fromkeys(decode_string(name) for name in _OTHER_FILE.findall(data))),
    )


def line_of(data: bytes, position: int) -> int:
    """Return the number, from 1, of the line with a byte position."""
    return data.count(b"\n", 0, position) + 1


def _check_head(data: bytes) -> None:
    if not data.strip():
        raise MalformedFile("the file is empty: expected ISO-10303-21;", line=1, reason="empty")
    if not looks_like_step(data):
        raise MalformedFile(
            "not a STEP file: it does not begin with ISO-10303-21;", line=1, reason="no marker"
        )
    position = data.find(b"\0")
    if position >= 0:
        line = line_of(data, position)
        raise MalformedFile(
            f"line {line} contains a NUL byte: the file was damaged in transfer or storage; export it again",
            line=line,
            reason="NUL byte",
        )


def _check_end(data: bytes, body: int) -> None:
    # From the end: a long file is not searched twice.
    section_end = data.rfind(b"ENDSEC", body)
    if section_end >= 0 and _END.search(data, section_end):
        return
    missing = "ENDSEC" if section_end < 0 else "END-ISO-10303-21"
    line = line_of(data, len(data.rstrip()) - 1)
    raise MalformedFile(
        f"the file is truncated at line {line}: {missing}; is missing; export or copy it again",
        line=line,
        reason="truncated",
    )


def _argument(header: bytes, record: bytes, index: int) -> str:
    """Return one top-level argument of a header record as text, '' where there is none."""
    start = re.search(record + rb"\s*\(", header)
    depth, position, words = 0, 0, []
    for token in _ARGUMENT.findall(header, start.end()) if start else ():
        if token == b"(":
            depth += 1
        elif token == b")":
            depth -= 1
            if depth < 0:
                break
        elif token == b"," and depth == 0:
            position += 1
        elif position == index and token.startswith(b"'"):
            words.append(decode_string(token[1:-1]))
    return ", ".join(word for word in words if word)


def _product_names(data: bytes) -> Iterator[str]:
    for identifier, name in _PRODUCT.findall(data):
        if text := (decode_string(name) or decode_string(identifier)):
            yield text


def _assembly_depth(data: bytes) -> int:
    """Return the longest chain of assemblies.

    Raises:
        MalformedFile: The chain closes: an assembly contains itself.
    """
    parents: dict[bytes, set[bytes]] = defaultdict(set)
    for assembly, component in _USAGE.findall(data):
        parents[component].add(assembly)
    depth: dict[bytes, int] = {}
    try:
        for product in TopologicalSorter(parents).static_order():
            depth[product] = 1 + max((depth[parent] for parent in parents.get(product, ())), default=-1)
    except CycleError as error:
        chain = " in ".join(record.decode() for record in error.args[1])
        raise MalformedFile(
            f"an assembly contains itself: {chain}; no such product can exist", reason="assembly cycle"
        ) from error
    return max(depth.values(), default=0)


_EXTENDED = re.compile(
    r"\\X2\\((?:[0-9A-Fa-f]{4})+)\\X0\\|\\X4\\((?:[0-9A-Fa-f]{8})+)\\X0\\|\\X\\([0-9A-Fa-f]{2})|\\S\\(.)"
)


def decode_string(raw: bytes) -> str:
    """Decode the inside of a part 21 string: doubled quotes and the backslash escapes of the standard.

    Bytes above 127, which the standard does not allow, are read as UTF-8 where they are valid, else as
    Latin-1.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.replace("''", "'").replace("\r", "").replace("\n", "")
    if "\\" in text:
        text = _EXTENDED.sub(_extended, text).replace("\\\\", "\\")
    return text.strip()


def _extended(match: re.Match[str]) -> str:
    two, four, one, shifted = match.groups()
    if shifted:
        return chr(ord(shifted) + 128)
    if one:
        return chr(int(one, 16))
    encoding = "utf-16-be" if two else "utf-32-be"
    return bytes.fromhex(two or four).decode(encoding, errors="replace")
