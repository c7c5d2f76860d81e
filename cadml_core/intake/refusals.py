"""Which failed readings are remembered, and how they are told again."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import msgspec

from cadml_core.catalog.refusals import Refusal
from cadml_core.clock import timestamp
from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.isolation.protocol import Failure, error_of, failure_of

log = logging.getLogger(__name__)

_DUE_TO_CONTENT = frozenset({"PARSE_FAILED", "PARSE_TIMEOUT", "PARSE_CRASHED", "LIMIT_EXCEEDED"})


def depends_on_content(error: CadmlError) -> bool:
    """Tell whether reading the same content again would end in the same way.

    Not where the machine killed the reader, most likely for want of memory; nor where an adapter raised what
    it must not, as its installation may be to blame, which is repaired without a new version.
    """
    context = error.context
    return error.code in _DUE_TO_CONTENT and "exception" not in context and context.get("signal") != "SIGKILL"


def reader_text(adapter: FormatAdapter, limits: ReadLimits) -> str:
    """Return all that an outcome depends on beside the content: another adapter version, a higher limit or
    another unit makes a new attempt worth while."""
    return f"{adapter.name} {adapter.version} {msgspec.json.encode(limits).decode()}"


def refusal_of(error: CadmlError, sha256: str, path: str, reader: str) -> Refusal:
    """Describe a failed reading for the catalogue."""
    text = msgspec.json.encode(failure_of(error)).decode()
    return Refusal(sha256, reader, path, text, timestamp(datetime.now(UTC)))


def recall(refusals: Iterable[Refusal], ways: Collection[str], path: str) -> CadmlError | None:
    """Return the error that one of these ways to read a content met before, None where none was tried."""
    for refusal in refusals:
        if refusal.reader in ways:
            error = error_of(msgspec.json.decode(refusal.error, type=Failure))
            told = error.message.replace(refusal.path, path)
            error.message = (
                f"{told} (so it was on {refusal.at}; it is read again only where a retry is asked for)"
            )
            error.context = {**error.context, "remembered": refusal.at}
            return error
    return None
