"""The error-code table and the exceptions that carry its codes.

One table decides the stage, the HTTP status and the meaning of every code; the reference pages are
generated from it. Exceptions cross process borders, so each can be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from cadml_core.clock import timestamp


class ErrorSpec(msgspec.Struct, frozen=True):
    """What a code means. ``stage`` is None where it is the stage of the operation that failed."""

    code: str
    stage: str | None
    status: int
    meaning: str


ERROR_CODES: Mapping[str, ErrorSpec] = {
    spec.code: spec
    for spec in (
        ErrorSpec("INPUT_VALIDATION_FAILED", None, 422, "The body, query or option does not fit."),
        ErrorSpec("INPUT_SIZE_EXCEEDED", "input", 413, "The upload is over `ANALYSIS_MAX_FILE_MB`."),
        ErrorSpec(
            "INPUT_TIMEOUT",
            "input",
            408,
            "The body paused longer than `UPLOAD_TIMEOUT_SECONDS` or took over `BODY_TIMEOUT_SECONDS`.",
        ),
        ErrorSpec("INPUT_FORMAT_INVALID", "input", 415, "The content does not match the claimed format."),
        ErrorSpec("INPUT_UNREADABLE", "input", 422, "The file or folder cannot be opened or read."),
        ErrorSpec("UNSUPPORTED_FORMAT", "input", 415, "No installed format adapter reads this content."),
        ErrorSpec("PARSE_FAILED", "parse", 422, "The adapter rejected the file; context says where and why."),
        ErrorSpec(
            "PARSE_TIMEOUT",
            "parse",
            504,
            "Reading took more than `PARSE_CPU_SECONDS` of processor time, or longer than"
            " `PARSE_TIMEOUT_SECONDS` on the clock; context: `limit` (`processor`, `clock`), `allowed`.",
        ),
        ErrorSpec(
            "PARSE_CRASHED",
            "parse",
            422,
            "The reader process died (signal in context) or ran out of `PARSE_MEMORY_MB`.",
        ),
        ErrorSpec(
            "LIMIT_EXCEEDED", "parse", 422, "A `ReadLimits` bound: context `limit`, `found`, `allowed`."
        ),
        ErrorSpec(
            "EMPTY_DOCUMENT", "parse", 422, "Readable, but has no geometry (only where strict is asked)."
        ),
        ErrorSpec("DATA_NOT_FOUND", None, 404, "An unknown id, address or plugin name, or a missing file."),
        ErrorSpec("DIMENSION_MISMATCH", None, 409, "A vector's length: context `expected`, `found`."),
        ErrorSpec("AUTH_FAILED", "auth", 401, "The API key is missing or wrong."),
        ErrorSpec("PERMISSION_DENIED", "auth", 403, "The operation needs the admin token."),
        ErrorSpec("RATE_LIMITED", "auth", 429, "Too many requests; see `Retry-After`."),
        ErrorSpec("METHOD_NOT_ALLOWED", "routing", 405, "The address exists, but not for this method."),
        ErrorSpec(
            "HEADERS_TOO_LARGE",
            "request",
            431,
            "A header line, all headers, or their number: context `limit` (the setting), `allowed`.",
        ),
        ErrorSpec("HEADER_TIMEOUT", "request", 408, "The headers took longer than `HEADER_TIMEOUT_SECONDS`."),
        ErrorSpec(
            "TOO_MANY_CONNECTIONS",
            "request",
            503,
            "More connections at once than `CONNECTIONS_PER_CLIENT_MAX` or `CONNECTIONS_MAX`.",
        ),
        ErrorSpec("NOT_READY", "health", 503, "The server cannot work yet or any more; context says what."),
        ErrorSpec("MODEL_SIZE_EXCEEDED", "model_reload", 422, "The model file is over `MODEL_MAX_MB`."),
        ErrorSpec("MODEL_MAGIC_INVALID", "model_reload", 422, "The file does not begin like a pickle."),
        ErrorSpec("MODEL_HASH_MISMATCH", "model_reload", 422, "The sha256 is not the one allowed."),
        ErrorSpec("MODEL_MALFORMED", "model_reload", 422, "The pickle is structurally unsound."),
        ErrorSpec("MODEL_OPCODE_BLOCKED", "model_reload", 422, "The blacklist policy refused the pickle."),
        ErrorSpec(
            "OPCODE_WHITELIST_VIOLATION", "model_reload", 422, "The whitelist policy refused the pickle."
        ),
        ErrorSpec("MODEL_INTERFACE_INVALID", "model_reload", 422, "The object has no usable `predict`."),
        ErrorSpec(
            "MODEL_LOAD_FAILED", "model_reload", 422, "Unpickling raised, or the model's process died."
        ),
        ErrorSpec(
            "MODEL_UNAVAILABLE",
            "classify",
            503,
            "The serving model gave no answer; context `reason`: busy, restarting, closed, mesh, error,"
            " timeout, died, memory, answer. An upload carries it as a warning.",
        ),
        ErrorSpec(
            "MODEL_OPCODE_AUDIT_UNAVAILABLE", "opcode_audit", 503, "The audit store could not be initialised."
        ),
        ErrorSpec("CACHE_TUNING_SNAPSHOT_ACTIVE", "cache_tuning", 409, "A rollback window is still open."),
        ErrorSpec("CACHE_TUNING_ROLLBACK_EXPIRED", "cache_tuning", 410, "The rollback window has closed."),
        ErrorSpec(
            "CACHE_TUNING_NO_SNAPSHOT", "cache_tuning", 409, "Nothing was applied that could be undone."
        ),
        ErrorSpec("FAISS_RECOVERY_CONFLICT", "faiss_recovery", 409, "A recovery is already running."),
        ErrorSpec("MIGRATION_CONFLICT", "migration", 409, "A migration is already running."),
        ErrorSpec("DUPLICATES_CONFLICT", "duplicates", 409, "A search for duplicates is already running."),
        ErrorSpec(
            "DECISION_CONFLICT", "duplicates", 409, "Somebody else has decided otherwise; context names who."
        ),
        ErrorSpec("PLUGIN_UNAVAILABLE", "plugins", 503, "The chosen plugin failed, is disabled or missing."),
        ErrorSpec("SETTING_INVALID", "settings", 500, "A setting is impossible; context names it."),
        ErrorSpec(
            "CATALOGUE_UNAVAILABLE",
            "catalogue",
            503,
            "The database, or the folder of uploads, is locked, damaged, full or unreachable.",
        ),
        ErrorSpec(
            "INTERNAL_ERROR", None, 500, "An unexpected error; context has an id that is also in the log."
        ),
    )
}


class Problem(msgspec.Struct, frozen=True):
    """The one shape of every error, in JSON answers and in ``--json`` output."""

    code: str
    stage: str
    message: str
    context: dict[str, Any]
    timestamp: str


class CadmlError(Exception):
    """An error with a code of the table.

    Subclasses also derive from the builtin that fits, so that callers who know only Python can
    catch them.
    """

    code = "INTERNAL_ERROR"

    def __init__(
        self, message: str, *, code: str | None = None, stage: str | None = None, **context: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.stage = ERROR_CODES[self.code].stage or stage or "operation"
        self.context = context

    def __reduce__(self) -> tuple[Any, ...]:
        return (rebuild, (type(self), self.message, self.code, self.stage, self.context))

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return ERROR_CODES[self.code].status

    def problem(self) -> Problem:
        """Return the error in the shape that users see."""
        return Problem(self.code, self.stage, self.message, self.context, timestamp(datetime.now(UTC)))


def rebuild(
    kind: type[CadmlError], message: str, code: str, stage: str, context: dict[str, Any]
) -> CadmlError:
    """Make an error from its parts, without the arguments that its class usually takes."""
    error = kind.__new__(kind)
    CadmlError.__init__(error, message, code=code, stage=stage, **context)
    return error


class InvalidInput(CadmlError, ValueError):
    """An argument, option or body that does not fit."""

    code = "INPUT_VALIDATION_FAILED"


class InvalidSetting(CadmlError, ValueError):
    """An impossible setting; names the setting, its value, where it came from and what is allowed."""

    code = "SETTING_INVALID"


class UnreadableInput(CadmlError, OSError):
    """A file or folder that cannot be opened or read."""

    code = "INPUT_UNREADABLE"

    def __str__(self) -> str:
        return self.message


class FormatMismatch(CadmlError, ValueError):
    """The content is not what the file's name claims."""

    code = "INPUT_FORMAT_INVALID"


class UnsupportedContent(CadmlError, ValueError):
    """Nothing installed reads this content; the message says what would."""

    code = "UNSUPPORTED_FORMAT"


class MalformedFile(CadmlError, ValueError):
    """The content breaks the rules of its format; context says where and why."""

    code = "PARSE_FAILED"


class EmptyDocument(CadmlError, ValueError):
    """The file is readable, but has no geometry."""

    code = "EMPTY_DOCUMENT"


class LimitExceeded(CadmlError, ValueError):
    """More than a ``ReadLimits`` bound allows."""

    code = "LIMIT_EXCEEDED"

    def __init__(self, limit: str, *, found: float, allowed: float) -> None:
        super().__init__(
            f"{limit}: found {found:,}, allowed {allowed:,}. Raise the limit in the settings if this file"
            " is wanted.",
            limit=limit,
            found=found,
            allowed=allowed,
        )


class ReaderTimeout(CadmlError, TimeoutError):
    """The reader did not finish in time and was ended."""

    code = "PARSE_TIMEOUT"

    def __str__(self) -> str:
        return self.message


class ReaderCrashed(CadmlError, RuntimeError):
    """The reader process died; only this file is affected."""

    code = "PARSE_CRASHED"


class NotFound(CadmlError, LookupError):
    """An id, a file or a plugin object that a caller named, and that is not there."""

    code = "DATA_NOT_FOUND"


class DimensionMismatch(CadmlError, ValueError):
    """A vector whose length does not fit its feature version."""

    code = "DIMENSION_MISMATCH"

    def __init__(self, *, expected: int, found: int, stage: str = "features") -> None:
        super().__init__(
            f"expected a vector of length {expected}, found length {found}",
            stage=stage,
            expected=expected,
            found=found,
        )


class PluginUnavailable(CadmlError, LookupError):
    """What the settings chose is not installed, or a plugin failed or is disabled."""

    code = "PLUGIN_UNAVAILABLE"


class CatalogueUnavailable(CadmlError, RuntimeError):
    """The database cannot be used now; nothing was half-written."""

    code = "CATALOGUE_UNAVAILABLE"


class ModelRejected(CadmlError, ValueError):
    """A model file that is not loaded; the code says which check it failed, and the old model serves on."""

    code = "MODEL_LOAD_FAILED"


class ModelUnavailable(CadmlError, RuntimeError):
    """The serving model gave no answer to one question; the context says why."""

    code = "MODEL_UNAVAILABLE"

    def __init__(self, reason: str, detail: str = "") -> None:
        told = MODEL_FAILURES[reason]
        super().__init__(f"{told}: {detail}" if detail else told, reason=reason)


MODEL_FAILURES = {
    "busy": "the model was busy for longer than an answer may take",
    "restarting": "the model's process is being started",
    "closed": "the model was replaced meanwhile",
    "error": "the model raised an error",
    "mesh": "the model took over while the file was read, and the file must be read again for it",
    "timeout": "the model took longer than MODEL_PREDICT_TIMEOUT_SECONDS and was ended",
    "died": "the model's process died",
    "memory": "the model took more memory than MODEL_MEMORY_MB",
    "answer": "the model's process sent what is no answer",
    "start": "the model's process could not be started again",
}
"""Why a model gave no answer."""
MODEL_FAULTS = frozenset(("timeout", "died", "memory", "answer", "start"))
"""Those that count towards its quarantine."""


class AuditUnavailable(CadmlError, RuntimeError):
    """The opcode audit was never set up, or is closed."""

    code = "MODEL_OPCODE_AUDIT_UNAVAILABLE"
