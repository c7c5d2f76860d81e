"""One error shape for every layer: domain errors, framework errors and unexpected exceptions."""

from __future__ import annotations

import functools
import logging
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException, InternalServerException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from cadml_core.errors import ERROR_CODES, CadmlError, Problem

log = logging.getLogger(__name__)

_encoder = msgspec.json.Encoder(enc_hook=str)
_OWN_ADDRESSES = ("/api/", "/docs/")
# An absolute path with at least two components, not preceded by a word character, a dot or a URL's scheme.
_PATH = re.compile(r"(?<![\w./])(?<!http:)(?<!https:)/+(?:[^\s/'\"]+/)+[^\s/'\",;:)]*")
_CODE_OF_STATUS = {
    401: "AUTH_FAILED",
    403: "PERMISSION_DENIED",
    404: "DATA_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "INPUT_TIMEOUT",
    413: "INPUT_SIZE_EXCEEDED",
    415: "INPUT_FORMAT_INVALID",
    429: "RATE_LIMITED",
}


def handlers(data_folder: Path) -> ExceptionHandlersMap:
    """Return the exception handlers of the application.

    Args:
        data_folder: The only folder whose paths may appear in an answer.
    """
    return {
        CadmlError: functools.partial(_on_cadml_error, data_folder),
        HTTPException: functools.partial(_on_http_exception, data_folder),
        Exception: _on_unexpected,
    }


def public(error: CadmlError, data_folder: Path) -> Problem:
    """Return the error without paths of the server, except those in the data folder."""
    problem = error.problem()
    return msgspec.structs.replace(
        problem,
        message=_scrub(problem.message, data_folder),
        context={key: _scrub(value, data_folder) for key, value in problem.context.items()},
    )


def internal(error: BaseException, stage: str) -> CadmlError:
    """Log an unexpected error; return one that tells the client only the id of the log entry."""
    reference = secrets.token_hex(8)
    log.error("unexpected error %s", reference, exc_info=error)
    return CadmlError(
        f"an unexpected error; the server's log describes it under {reference}", stage=stage, id=reference
    )


def encode(problem: Problem) -> bytes:
    """Encode an error as JSON; a context value of an unsupported type becomes text."""
    return _encoder.encode(problem)


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Answer with an error."""
    return Response(
        encode(problem),
        status_code=ERROR_CODES[problem.code].status,
        media_type="application/json",
        headers={**headers_of(problem), **(headers or {})},
    )


def headers_of(problem: Problem) -> dict[str, str]:
    """Return the headers that go with an error."""
    found = {"WWW-Authenticate": "ApiKey"} if problem.code == "AUTH_FAILED" else {}
    if "retry_after_seconds" in problem.context:
        found["Retry-After"] = str(problem.context["retry_after_seconds"])
    if ERROR_CODES[problem.code].status == 408:
        found["Connection"] = "close"  # the rest of the body would still be to come
    return found


def responses(*codes: str) -> dict[int, ResponseSpec]:
    """Describe for OpenAPI which errors an operation answers with."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        spec = ERROR_CODES[code]
        by_status.setdefault(spec.status, []).append(f"`{code}`: {spec.meaning}")
    return {
        status: ResponseSpec(Problem, description="\n\n".join(told), generate_examples=False)
        for status, told in sorted(by_status.items())
    }


def _on_cadml_error(data_folder: Path, _: Request[Any, Any, Any], error: CadmlError) -> Response[bytes]:
    if error.status >= 500 and error.code != "NOT_READY":
        log.warning("%s: %s", error.code, error.message)
    return respond(public(error, data_folder))


def _on_http_exception(
    data_folder: Path, request: Request[Any, Any, Any], error: HTTPException
) -> Response[bytes]:
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:
        error = ClientException("the client closed the connection in the middle of the body")
    if error.status_code >= 500:
        return respond(internal(error, _stage(request)).problem())
    code = _CODE_OF_STATUS.get(error.status_code, "INPUT_VALIDATION_FAILED")
    message, context = _described(request, error)
    found = CadmlError(message, code=code, stage=_stage(request), **context)
    headers = {name.title(): value for name, value in (error.headers or {}).items()}
    if code == "RATE_LIMITED" and "Ratelimit-Reset" in headers:
        headers["Retry-After"] = headers["Ratelimit-Reset"]
    if error.status_code in (404, 405):  # they repeat the client's own address
        return respond(found.problem(), headers)
    return respond(public(found, data_folder), headers)


def _on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return respond(internal(error, _stage(request)).problem())


def _described(request: Request[Any, Any, Any], error: HTTPException) -> tuple[str, dict[str, Any]]:
    """Return the message and the context for a framework error; they name the field."""
    method, path = request.scope["method"], request.scope["path"]
    if error.status_code == 404:
        return f"there is no {path}; /docs lists the addresses", {"path": path}
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "")
        return f"{path} does not take {method}; allowed: {allowed}", {"method": method, "allowed": allowed}
    if error.status_code == 429:
        return "too many requests of this API key; wait as long as Retry-After says", {}
    if isinstance(error.extra, list) and error.extra:
        fields = [
            {"field": str(item.get("key", "body")), "message": str(item.get("message", ""))}
            for item in error.extra
            if isinstance(item, dict)
        ]
        return "; ".join(f"{item['field']}: {item['message']}" for item in fields), {"errors": fields}
    return error.detail, {}


def _stage(request: Request[Any, Any, Any]) -> str:
    handler = request.scope.get("route_handler")
    return str(handler.opt.get("stage", "request")) if handler is not None else "request"


def _scrub(value: Any, data_folder: Path) -> Any:
    """Shorten absolute paths to their last component, unless they are in the data folder."""
    if isinstance(value, dict):
        return {key: _scrub(item, data_folder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item, data_folder) for item in value]
    if not isinstance(value, str) or "/" not in value:
        return value
    return _PATH.sub(lambda found: _shortened(found.group(), data_folder), value)


def _shortened(text: str, data_folder: Path) -> str:
    path = Path("/" + text.lstrip("/"))
    # Nothing here may depend on what is on the disk, or a client could ask which folders exist.
    if path.is_relative_to(data_folder) or text.startswith(_OWN_ADDRESSES):
        return text
    return path.name
