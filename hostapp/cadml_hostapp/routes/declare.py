"""How routes are declared, so that OpenAPI lists the body, the errors and the keys of each."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from litestar import Request, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody

from cadml_core.errors import CadmlError, InvalidInput
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.http.auth import PUBLIC, admin_only

T = TypeVar("T", bound=msgspec.Struct)

KEY: list[dict[str, list[str]]] = [{"ApiKey": []}]
ADMIN: list[dict[str, list[str]]] = [{"ApiKey": [], "AdminToken": []}]
REF = "#/components/schemas/{name}"
MAX_JSON_BYTES = 8 * 1024**2
NAMED = ("DATA_NOT_FOUND", "PLUGIN_UNAVAILABLE")
"""The codes of a route that takes the name of a plugin object: not installed, or its plugin failed."""

READ_ERRORS = (
    "UNSUPPORTED_FORMAT",
    "PARSE_FAILED",
    "PARSE_TIMEOUT",
    "PARSE_CRASHED",
    "LIMIT_EXCEEDED",
    "EMPTY_DOCUMENT",
)
"""The codes of a route that reads a file."""

_METHODS = {"GET": get, "POST": post, "PATCH": patch, "PUT": put, "DELETE": delete}
_ALWAYS = ("INPUT_VALIDATION_FAILED", "RATE_LIMITED", "CATALOGUE_UNAVAILABLE", "INTERNAL_ERROR")
_WITH_BODY = ("INPUT_FORMAT_INVALID", "INPUT_SIZE_EXCEEDED", "INPUT_TIMEOUT")


def route(
    method: str,
    path: str | list[str],
    *codes: str,
    stage: str,
    body: type[msgspec.Struct] | None = None,
    form: dict[str, Any] | None = None,
    admin: bool = False,
    public: bool = False,
    **options: Any,
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route.

    Args:
        method: The HTTP method.
        path: Below the router's path; several where it has aliases.
        codes: Its error codes, beyond those of every route.
        stage: The stage of errors whose code has none.
        body: The type of its JSON body; the handler reads it with ``json_body``.
        form: The JSON schema of its multipart form.
        admin: Whether it also needs the admin token.
        public: Whether it needs no key.
        options: Passed to Litestar.
    """
    known = [*_ALWAYS, *codes]
    known += _WITH_BODY if body or form else ()
    known += () if public else ("AUTH_FAILED",)
    known += ("PERMISSION_DENIED",) if admin else ()
    responses = {**http_errors.responses(*dict.fromkeys(known)), **options.pop("responses", {})}
    declared: Callable[[Callable[..., Any]], HTTPRouteHandler] = _METHODS[method](
        path,
        opt={"stage": stage, PUBLIC: public, "body": body},
        guards=[admin_only] if admin else None,
        security=None if public else (ADMIN if admin else KEY),
        responses=responses,
        operation_class=_operation(body, form),
        **options,
    )
    return declared


async def json_body(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Decode and check a JSON body in one step.

    Raises:
        InvalidInput: It does not fit; the message names the field.
        CadmlError: INPUT_FORMAT_INVALID where it is not declared to be JSON.
    """
    declared = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if declared != "application/json" and not declared.endswith("+json"):
        raise CadmlError(
            f"expected a body of the type application/json, found {declared[:100]}",
            code="INPUT_FORMAT_INVALID",
        )
    stage = request.route_handler.opt["stage"]
    try:
        found: T = _decoder(kind).decode(await request.body())
        return found
    except msgspec.ValidationError as error:
        raise invalid(error, stage, kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}", stage=stage, field="body") from None


def invalid(error: msgspec.ValidationError, stage: str, kind: Any) -> InvalidInput:
    """Return the error that names the field and the reason; of an unknown one also which are known."""
    reason, _, where = str(error).partition(" - at `")
    field = where.rstrip("`").removeprefix("$").removeprefix(".")
    if "unknown field" in reason or "missing required field" in reason:
        if "unknown field" in reason:
            reason += f"; allowed: {', '.join(_fields_at(kind, field))}"
        field = ".".join(filter(None, [field, reason.split("`")[1]]))
    return InvalidInput(f"{field or 'body'}: {reason}", stage=stage, field=field or "body")


def _fields_at(kind: Any, where: str) -> list[str]:
    """Return the fields of the struct at a place in a body, such as ``ranges[0]``."""
    found: Any = msgspec.inspect.type_info(kind)
    for step in re.findall(r"[^.\[\]]+|\[[^\]]*\]", where):
        if step.startswith("["):
            found = getattr(found, "item_type", None) or found.value_type
        else:
            found = next(field.type for field in found.fields if field.encode_name == step)
        found = _plain(found)
    return [field.encode_name for field in found.fields]


def _plain(found: Any) -> Any:
    """Return a type without its descriptions, and without None."""
    while isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    if isinstance(found, msgspec.inspect.UnionType):
        found = next(one for one in found.types if not isinstance(one, msgspec.inspect.NoneType))
        return _plain(found)
    return found


@functools.cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _operation(body: type[msgspec.Struct] | None, form: dict[str, Any] | None) -> type[Operation]:
    """Return an operation class with this request body, whose summary is the docstring's first line."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.summary, _, rest = (self.description or "").partition("\n")
            self.description = rest.strip() or None
            if self.responses is not None:  # Litestar's validation error, which we answer as 422
                self.responses.pop("400", None)
            if body is not None:
                self.request_body = _request_body(
                    "application/json", Reference(REF.format(name=body.__name__))
                )
            elif form is not None:
                self.request_body = _request_body("multipart/form-data", form)

    return Described


def _request_body(media_type: str, schema: Any) -> RequestBody:
    return RequestBody(content={media_type: OpenAPIMediaType(schema=schema)}, required=True)
