"""Opens a DXF document in memory: as it is first, repaired where that fails."""

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

from cadml_core import MalformedFile
from cadml_plugins.formats.dxf._signature import BINARY_SENTINEL

PARSER_FAILURES = (
    *(DXFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, RuntimeError, EOFError, StopIteration, struct.error),
)
"""What ezdxf raises on damaged input beside its own errors. RecursionError is a RuntimeError."""

_MOST_FINDINGS = 50
"""Findings of one kind that are kept: a damaged file may have as many as it has entities."""
_UTF8_VERSION = "AC1021"
"""From R2007 on every DXF is UTF-8."""
_QUOTED = re.compile(r""" b?(?:"[^"]*"|'[^']*'|\"[^"]*$|'[^']*$)""".strip())
_ADDRESS = re.compile(r"\(#\d{12,}\)")
"""In place of a missing handle ezdxf prints an address in memory, which differs from run to run."""
_TAIL_BYTES = 1 << 16
_HEADER_BYTES = 1 << 18
"""Where ``$INSUNITS`` is looked for; a header is much shorter."""
_EOF = re.compile(rb"[\r\n][ \t]*0[ \t]*[\r\n]+[ \t]*EOF[ \t]*(?:[\r\n]|\x1a|\x00|$)")
_ENDSEC = re.compile(rb"[\r\n][ \t]*0[ \t]*[\r\n]+[ \t]*ENDSEC\s*\Z")


class Loaded(NamedTuple):
    """An open document, and what was found while opening it."""

    document: Any
    recovered: bool
    version: str
    """``$ACADVER`` of the file, as AC1015."""
    encoding: str
    """What its text was decoded with; undecodable bytes are surrogate escapes."""
    insunits: int
    """``$INSUNITS`` as the file states it, 0 where it does not."""
    findings: list[str]


def load(path: Path) -> Loaded:
    """Open a document.

    Raises:
        MalformedFile: It can be read neither as it is nor repaired; the message has both reasons.
    """
    with collected_log() as findings:
        try:
            document = readfile(path)
            return describe(path, document, findings)
        except (*PARSER_FAILURES, OSError) as error:
            reason = _reason(error)
        # After the first attempt: what can be read as it is may lack its end marks.
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
    """Return what a reader needs to know of a document that was opened."""
    version = plain(document.loaded_dxfversion or document.dxfversion)
    encoding = "utf-8" if version >= _UTF8_VERSION else document.encoding
    return Loaded(document, recovered, version, encoding, _insunits(path, document), findings)


def audit(document: Any) -> list[str]:
    """Return what ezdxf's auditor finds. It changes the document, so call it after everything is counted."""
    with collected_log():
        try:
            auditor = document.audit()
        except PARSER_FAILURES as error:
            return [f"the audit of the document failed: {_reason(error)}"]
    found: list[str] = []
    _note(found, [entry.message for entry in (*auditor.errors, *auditor.fixes)])
    return found


def _insunits(path: Path, document: Any) -> int:
    """Return ``$INSUNITS`` as the file states it; ezdxf has a default where there is none."""
    with path.open("rb") as file:
        stated = b"$INSUNITS" in file.read(_HEADER_BYTES)
    return int(document.header.get("$INSUNITS", 0)) if stated else 0


def _refuse_truncated(path: Path, reason: str) -> None:
    """Refuse a truncated file: ezdxf's recovery would return what is left of it.

    Raises:
        MalformedFile: The text stops within a section.
    """
    with path.open("rb") as file:
        head = file.read(len(BINARY_SENTINEL))
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    # ezdxf's recovery reads text only.
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
    text = unquoted(str(error)).removeprefix("DXFStructureError: ")
    return text if isinstance(error, DXFError) and text else f"{type(error).__name__}: {text}"


def _note(findings: list[str], messages: list[str]) -> None:
    """Add messages, each once, and a bounded number of them."""
    distinct = list(dict.fromkeys(map(plain, messages)))
    findings.extend(distinct[:_MOST_FINDINGS])
    if len(distinct) > _MOST_FINDINGS:
        findings.append(f"{len(distinct) - _MOST_FINDINGS:,} more findings of this kind")


def unquoted(message: str) -> str:
    """Return a message of the library on one line, without what it quotes of the file."""
    return _QUOTED.sub("(not shown)", plain(message))


def plain(message: str) -> str:
    """Return a message on one line, without memory addresses."""
    text = _ADDRESS.sub("", " ".join(message.split()))[:300]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Collector(logging.Handler):
    """Keeps what this thread logs: other threads may read other files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.messages) < 10 * _MOST_FINDINGS:
            self.messages.append(record.getMessage())


@contextmanager
def collected_log() -> Iterator[list[str]]:
    """Collect what ezdxf logs within the block as findings. Having a handler, its logger prints nothing."""
    findings: list[str] = []
    logger, collector = logging.getLogger("ezdxf"), _Collector()
    logger.addHandler(collector)
    try:
        yield findings
    finally:
        logger.removeHandler(collector)
        _note(findings, collector.messages)
