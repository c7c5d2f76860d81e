"""What the errors of a database mean to its user, and what to do about them."""

from __future__ import annotations

from cadml_core.errors import CatalogueUnavailable

_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("database is locked", "database table is locked", "lock timeout", "locknotavailable"),
        "another process keeps the database locked; wait for it or end it, then try again",
    ),
    (
        ("database or disk is full", "disk full", "no space left", "diskfull"),
        "the disk is full; free some space, then try again",
    ),
    (
        ("readonly", "read-only"),
        "the database is read-only; make the file and its folder writable for this user",
    ),
    (
        ("not a database", "malformed", "disk image", "corrupt"),
        "the file is damaged or no cadml catalogue; restore it from a copy, or move it away and ingest again",
    ),
    (
        ("unable to open", "disk i/o error"),
        "check that the folder exists and is writable, and that its disk is healthy and not full",
    ),
    (
        ("connection", "could not translate", "server closed", "timeout expired", "starting up"),
        "check that the database server runs and that host, port, user and password are right",
    ),
)


def unavailable(database: str, error: Exception) -> CatalogueUnavailable:
    """Return the error for one of the driver's.

    Args:
        database: The URL without its password.
        error: As the driver or SQLAlchemy raised it.
    """
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return CatalogueUnavailable(
        f"the catalogue {database} cannot be used: {reason}; {_advice(error)}",
        database=database,
        reason=reason,
    )


def _advice(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    text = f"{type(original).__name__} {original}".lower()
    for signs, advice in _ADVICE:
        if any(sign in text for sign in signs):
            return advice
    return "see the reason given"
