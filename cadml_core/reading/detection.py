"""Tell which format adapter reads a file: by its content first, by its suffix second."""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cadml_core.contracts.formats import FormatAdapter
from cadml_core.errors import FormatMismatch, NotFound, UnreadableInput, UnsupportedContent
from cadml_core.reading.foreign import advice_for, foreign_suffix

log = logging.getLogger(__name__)

HEAD_BYTES = 4096
"""How much of a file ``FormatAdapter.sniff`` sees."""


def detect(path: Path, formats: Mapping[str, FormatAdapter]) -> FormatAdapter:
    """Return the adapter for a file.

    The content decides. The suffix is asked where several adapters know the content, and must not
    contradict it; content that is recognised needs no suffix.

    Raises:
        NotFound: There is no such file.
        UnreadableInput: It cannot be opened, or is not a regular file.
        FormatMismatch: The content is not what the suffix claims; the message names both.
        UnsupportedContent: No adapter knows the content, or several do and the suffix does not help.
    """
    with open_input(path) as file:
        return identify(path, file.read(HEAD_BYTES), formats)


def open_input(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; a pipe, device or socket is refused and never waited for.

    Raises:
        NotFound: There is no such file.
        UnreadableInput: It cannot be opened, or is not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise NotFound(f"there is no file {display(path)}", stage="input", path=display(path)) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _not_regular(path, mode)
        return io.BufferedReader(io.FileIO(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def identify(path: Path, head: bytes, formats: Mapping[str, FormatAdapter]) -> FormatAdapter:
    """Return the adapter for content that begins with ``head`` under the name ``path``.

    Raises:
        FormatMismatch: As for ``detect``.
        UnsupportedContent: As for ``detect``.
    """
    named = [adapter for adapter in formats.values() if path.suffix.lower() in adapter.suffixes]
    known = [adapter for adapter in formats.values() if _knows(adapter, head)]
    both = [adapter for adapter in known if adapter in named]
    if len(both) == 1:
        return both[0]
    if len(known) == 1 and not named:
        return known[0]
    if both or (known and not named):
        raise _ambiguous(path, both or known)
    if named:
        raise _mismatch(path, head, named, known)
    raise _unknown(path, head, formats)


def display(path: Path | str) -> str:
    """Return a path as text that any encoder accepts: bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def unreadable(path: Path, error: OSError | ValueError) -> UnreadableInput:
    """Say why the operating system did not give the file."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, OSError) and error.errno == errno.ENXIO:
        reason = "it is a socket or a pipe, not a regular file"
    return UnreadableInput(f"cannot read {display(path)}: {reason}", path=display(path), reason=reason)


def _not_regular(path: Path, mode: int) -> UnreadableInput:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a special file")
    return UnreadableInput(
        f"{display(path)} is {kind}; expected a regular file", path=display(path), reason=f"is {kind}"
    )


def _knows(adapter: FormatAdapter, head: bytes) -> bool:
    try:
        return bool(head) and bool(adapter.sniff(head))
    # One adapter that breaks its promise never to raise must not hide the others.
    except Exception:
        log.warning("format adapter %s: sniff raised", adapter.name, exc_info=True)
        return False


def _mismatch(
    path: Path, head: bytes, named: list[FormatAdapter], known: list[FormatAdapter]
) -> FormatMismatch:
    claimed, found = _names(named), _names(known)
    if not head:
        text = f"{display(path)} is empty (0 bytes); its name says {claimed}"
    elif known:
        text = f"{display(path)}: its name says {claimed}, its content is {found}; rename or replace it"
    else:
        text = f"{display(path)}: its name says {claimed}, but its content is not, nor anything known"
    return FormatMismatch(text, path=display(path), claimed=claimed, found=found or None)


def _ambiguous(path: Path, known: list[FormatAdapter]) -> UnsupportedContent:
    suffixes = sorted({suffix for adapter in known for suffix in adapter.suffixes})
    hint = (
        "disable all but one of these plugins"
        if path.suffix.lower() in suffixes
        else f"give the file one of the suffixes {', '.join(suffixes)}"
    )
    return UnsupportedContent(
        f"{display(path)}: {_names(known)} all claim this content; {hint}",
        path=display(path),
        found=_names(known),
    )


def _unknown(path: Path, head: bytes, formats: Mapping[str, FormatAdapter]) -> UnsupportedContent:
    installed = ", ".join(f"{adapter.name} ({' '.join(adapter.suffixes)})" for adapter in formats.values())
    content = "" if head else ": it is empty (0 bytes)"
    readable = {suffix for adapter in formats.values() for suffix in adapter.suffixes}
    foreign = foreign_suffix(path.name, readable)
    hint = f"; {advice_for(foreign)}" if foreign else ""
    return UnsupportedContent(
        f"no format adapter knows {display(path)}{content}; installed: {installed or 'none'}{hint}",
        path=display(path),
        installed=sorted(formats),
    )


def _names(adapters: list[FormatAdapter]) -> str:
    return " and ".join(sorted(adapter.name for adapter in adapters))
