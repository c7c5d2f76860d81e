"""Opening of a DXF document in memory: as it stands first, repaired second."""

from __future__ import annotations

import logging
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ezdxf import recover
from ezdxf.filemanagement import readfile
from ezdxf.lldxf.const import DXFError

from cadml_core import MalformedFile, UnsupportedContent

BINARY_SENTINEL = b"AutoCAD Binary DXF\r\n\x1a\x00"
PARSER_FAILURES = (
    *(DXFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, RuntimeError, EOFError, StopIteration, struct.error),
)
"""What a parser that trusts its input may raise on input that should not be trusted; a recursion
error is a RuntimeError."""

_MOST_FINDINGS = 50
_UTF8_VERSION = "AC1021"
"""From R2007 on every DXF is UTF-8."""
_ADDRESS = re.compile(r"\(#\d{12,}\)")
_TAIL_BYTES = 1 << 16
_HEADER_BYTES = 1 << 18
_MAGIC = re.compile(rb"(?:^|[\r\n])[ \t]*0[ \t]*[\r\n]+[ \t]*(?:SECTION|EOF)[ \t]*(?:[\r\n]|$)")
_EOF = re.compile(rb"[\r\n][ \t]*0[ \t]*[\r\n]+[ \t]*EOF[ \t]*(?:[\r\n]|\x1a|\x00|$)")
_ENDSEC = re.compile(rb"[\r\n][ \t]*0[ \t]*[\r\n]+[ \t]*ENDSEC\s*\Z")


class Loaded(NamedTuple):
    """A document, and what was odd about it."""

    document: Any
    recovered: bool
    version: str
    """``$ACADVER`` of the file, as AC1015."""
    encoding: str
    """What its text was decoded with, undecodable bytes as surrogate escapes."""
    insunits: int
    """``$INSUNITS`` as the file states it, 0 where it does not."""
    findings: list[str]


def begins_as_dxf(head: bytes) -> bool:
    """Tell whether the first bytes are those of a binary or ASCII DXF."""
    return head.startswith(BINARY_SENTINEL) or (b"\0" not in head and _MAGIC.search(head[:4096]) is not None)


def refuse_foreign(head: bytes) -> None:
    """Say what a file is that is not a DXF.

    Raises:
        MalformedFile: It is none.
        UnsupportedContent: It is a DWG, or another file that is known not to be one.
    """
    if not head:
        raise MalformedFile("the file is empty (0 bytes); it was probably never written", position=0)
    if re.match(rb"AC1[.0-9]|AC2\.|MC0\.", head):
        raise UnsupportedContent(
            f"this is a DWG drawing ({head[:6].decode('latin-1')}), not a DXF; save or convert it as DXF",
            found="DWG",
        )
    if head.startswith(BINARY_SENTINEL[:18]) and not head.startswith(BINARY_SENTINEL):
        raise MalformedFile(
            "the mark of a binary DXF is damaged, as by a transfer that changes line ends; copy the file"
            " again in binary mode",
            position=18,
        )
    if not begins_as_dxf(head):
        raise MalformedFile(
            "this is no DXF: neither the mark of a binary DXF nor a line '0' followed by 'SECTION' in its"
            " first 4 KiB",
            position=0,
        )


def load(path: Path) -> Loaded:
    """Open a document.

    Raises:
        MalformedFile: Neither as it stands nor repaired can it be read; the message has both reasons.
    """
    with collected_log() as findings:
        try:
            document = readfile(path)
            return describe(path, document, findings)
        except (*PARSER_FAILURES, OSError) as error:
            reason = _reason(error)
        _refuse_truncated(path, reason)
        try:
            document, auditor = recover.readfile(path)
        except (*PARSER_FAILURES, OSError) as error:
            raise _unreadable(reason, _reason(error)) from error
    _note(
        findings, [f"repaired while reading: {entry.message}" for entry in (*auditor.errors, *auditor.fixes)]
    )
    findings.insert(0, f"the file breaks the rules of DXF and was repaired ({reason})")
    return describe(path, document, findings, recovered=True)


def describe(path: Path, document: Any, findings: list[str], *, recovered: bool = False) -> Loaded:
    """Describe a document that was opened."""
    version = plain(document.loaded_dxfversion or document.dxfversion)
    encoding = "utf-8" if version >= _UTF8_VERSION else document.encoding
    return Loaded(document, recovered, version, encoding, _insunits(path, document), findings)


def audit(document: Any) -> list[str]:
    """Return what ezdxf's auditor finds; this repairs the document, so everything else comes first."""
    with collected_log():
        try:
            auditor = document.audit()
        except PARSER_FAILURES as error:
            return [f"the audit of the document failed: {_reason(error)}"]
    found: list[str] = []
    _note(found, [entry.message for entry in (*auditor.errors, *auditor.fixes)])
    return found


def _insunits(path: Path, document: Any) -> int:
    """Return ``$INSUNITS``, unless the library made it up, as it does where there is no header."""
    with path.open("rb") as file:
        stated = b"$INSUNITS" in file.read(_HEADER_BYTES)
    return int(document.header.get("$INSUNITS", 0)) if stated else 0


def _refuse_truncated(path: Path, reason: str) -> None:
    """Refuse half a file: what is missing cannot be repaired.

    Raises:
        MalformedFile: The text stops within a section.
    """
    with path.open("rb") as file:
        head = file.read(len(BINARY_SENTINEL))
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    if head == BINARY_SENTINEL:
        raise MalformedFile(f"the binary DXF cannot be read: {reason}", position=size)
    if _EOF.search(b"\n" + tail) is None and _ENDSEC.search(tail) is None:
        line = 1 + path.read_bytes().count(b"\n")
        raise MalformedFile(
            f"the file ends at line {line:,} within a section, without 'ENDSEC' and 'EOF'; it is truncated",
            line=line,
            position=size,
        )


def _unreadable(reason: str, second: str) -> MalformedFile:
    message = reason if reason == second else f"{reason}; after an attempt at repair: {second}"
    line = re.search(r"line:? (\d+)", message)
    context: dict[str, Any] = {"line": int(line[1])} if line else {}
    return MalformedFile(f"the DXF cannot be read: {message}", **context)


def _reason(error: BaseException) -> str:
    text = plain(str(error)).removeprefix("DXFStructureError: ")
    return text if isinstance(error, DXFError) and text else f"{type(error).__name__}: {text}"


def _note(findings: list[str], messages: list[str]) -> None:
    """Add messages, each once, and a bounded number of them."""
    distinct = list(dict.fromkeys(map(plain, messages)))
    findings.extend(distinct[:_MOST_FINDINGS])
    if len(distinct) > _MOST_FINDINGS:
        findings.append(f"{len(distinct) - _MOST_FINDINGS:,} more findings of this kind")


def plain(message: str) -> str:
    """Put a message on one line, without the memory addresses that stand in for missing handles."""
    text = _ADDRESS.sub("", " ".join(message.split()))[:300]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Collector(logging.Handler):
    """Keeps what this thread logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.messages) < 10 * _MOST_FINDINGS:
            self.messages.append(record.getMessage())


@contextmanager
def collected_log() -> Iterator[list[str]]:
    """Turn what ezdxf logs in the meantime into findings; a logger with a handler prints nothing."""
    findings: list[str] = []
    logger, collector = logging.getLogger("ezdxf"), _Collector()
    logger.addHandler(collector)
    try:
        yield findings
    finally:
        logger.removeHandler(collector)
        _note(findings, collector.messages)
