"""Multipart uploads, streamed to disk: hashed while they arrive, with a limit on every part."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import msgspec
import multipart
from litestar import Request
from multipart import MultipartSegment, PushMultipartParser

from cadml_core.catalog.blobs import BlobStore, Incoming, UploadTooLarge
from cadml_core.contracts.formats import UnitName
from cadml_core.errors import CadmlError, InvalidInput
from cadml_core.intake.intake import SourceFile, received_file

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")
_MAX_FIELD = 64 * 1024
_MAX_NAME = 255
_WRITE_SIZE = 1024**2
"""Bytes that are collected before a thread writes them; smaller files are written directly."""


class UploadedFile(msgspec.Struct, kw_only=True):
    """One file of a form."""

    name: str
    """The last component of the client's file name."""
    incoming: Incoming
    error: CadmlError | None = None
    """Why it was not received completely."""

    def name_in(self, error: CadmlError) -> None:
        """Call the file in an error what the client called it, not by its temporary name."""
        path = self.incoming.path
        for known in (str(path), path.name):
            error.message = error.message.replace(known, self.name)
            for key, value in error.context.items():
                if isinstance(value, str):
                    error.context[key] = value.replace(known, self.name)

    def source(self, unit: UnitName | None) -> SourceFile:
        """Describe it for the intake."""
        return received_file(self.incoming.path, self.incoming.sha256, unit)


class Form:
    """A received form. Leaving its ``async with`` removes every file that was not stored."""

    def __init__(self, blobs: BlobStore) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[UploadedFile] = []
        self._blobs = blobs
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Form:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def open(self, name: str, max_bytes: int) -> UploadedFile:
        """Start to receive a file; it is kept until the form is closed."""
        suffix = _SUFFIX.fullmatch("." + name.rpartition(".")[2]) if "." in name else None
        incoming = self._blobs.receive(suffix.group().lower() if suffix else "", max_bytes)
        self._stack.callback(incoming.close)
        file = UploadedFile(name=name, incoming=incoming)
        self.files.append(file)
        return file


class FormReader:
    """Reads one multipart body.

    Args:
        blobs: Where files are stored.
        text_fields: Allowed names of text fields.
        file_fields: Allowed names of file fields.
        max_files: Most files.
        max_bytes: Most bytes of one file.
        stage: Of the errors.
        tolerant: Whether a file that is too large is skipped, with the error in its ``error``, instead of
            raised.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        text_fields: frozenset[str],
        file_fields: frozenset[str],
        max_files: int,
        max_bytes: int,
        stage: str,
        tolerant: bool = False,
    ) -> None:
        self._blobs = blobs
        self._text_fields = text_fields
        self._file_fields = file_fields
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._stage = stage
        self._tolerant = tolerant
        self._field: str | None = None
        self._text = bytearray()
        self._file: UploadedFile | None = None
        self._pending = bytearray()

    @property
    def _max_body(self) -> int:
        return self._max_files * (self._max_bytes + 8192) + (len(self._text_fields) + 1) * (_MAX_FIELD + 8192)

    async def read(self, request: Request[Any, Any, Any], form: Form) -> None:
        """Fill the form.

        Raises:
            CadmlError: INPUT_FORMAT_INVALID where the body is not a multipart form, INPUT_SIZE_EXCEEDED, or
                INPUT_VALIDATION_FAILED where a field is unknown, repeated, too long or not UTF-8.
        """
        boundary = self._boundary(request)
        self._check_length(request)
        received = 0
        try:
            with PushMultipartParser(
                boundary,
                max_segment_count=self._max_files + len(self._text_fields) + 1,
                strict=True,
            ) as parser:
                async for chunk in _body(request):
                    received += len(chunk)
                    if received > self._max_body:
                        raise self._body_too_large(received)
                    for event in parser.parse(chunk):
                        await self._take(event, form)
        except multipart.ParserLimitReached as error:
            raise self._invalid(f"the form exceeds a limit: {error}") from None
        except multipart.MultipartError as error:
            raise self._invalid(f"the body is not a valid multipart form: {error}") from None
        except UnicodeError:
            raise self._invalid("a header of the form is not UTF-8") from None

    async def _take(self, event: MultipartSegment | bytes | bytearray | None, form: Form) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event, form)
        elif event is None:
            await self._end(form)
        elif self._file is not None:
            await self._write(event)
        else:
            self._text += event
            if len(self._text) > _MAX_FIELD:
                raise self._invalid(f"the field {self._field!r} has more than {_MAX_FIELD:,} bytes")

    def _begin(self, segment: MultipartSegment, form: Form) -> None:
        name = segment.name or ""
        if segment.filename is not None and name in self._file_fields:
            if len(form.files) == self._max_files:
                raise self._invalid(f"more than {self._max_files} files in one form", allowed=self._max_files)
            self._file = form.open(self._file_name(segment.filename), self._max_bytes)
        elif name in self._text_fields and segment.filename is None:
            if name in form.fields:
                raise self._invalid(f"the field {name!r} is given twice", field=name)
            self._field = name
        elif name in self._file_fields:
            raise self._invalid(f"the field {name!r} must be a file: give it a filename", field=name)
        else:
            allowed = ", ".join(sorted(self._file_fields | self._text_fields))
            shown = name[:100]
            raise self._invalid(f"unknown field {shown!r}; allowed: {allowed}", field=shown)

    async def _end(self, form: Form) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            await self._flush(file)
        elif self._field is not None:
            try:
                form.fields[self._field] = self._text.decode()
            except UnicodeDecodeError:
                raise self._invalid(f"the field {self._field!r} is not UTF-8", field=self._field) from None
            self._field, self._text = None, bytearray()

    async def _write(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        if self._file.error is not None:
            return
        self._pending += data
        if len(self._pending) >= _WRITE_SIZE:
            pending, self._pending = self._pending, bytearray()
            await self._guarded(self._file, asyncio.to_thread(self._file.incoming.write, pending))

    async def _flush(self, file: UploadedFile) -> None:
        pending, self._pending = self._pending, bytearray()
        if file.error is None and pending:
            await self._guarded(file, _at_once(file.incoming.write, pending))

    async def _guarded(self, file: UploadedFile, writing: Any) -> None:
        try:
            await writing
        except UploadTooLarge as error:
            if not self._tolerant:
                raise
            file.error = error
            file.incoming.close()

    def _file_name(self, claimed: str) -> str:
        """Return the last component of a client's file name, whatever its system's separators are."""
        name = re.split(r"[/\\]", claimed)[-1].strip()
        if not name or name in (".", "..") or len(name) > _MAX_NAME or not name.isprintable():
            shown = claimed[:100]
            raise self._invalid(f"the file name {shown!r} is not usable", field="file", file_name=shown)
        return name

    def _boundary(self, request: Request[Any, Any, Any]) -> str:
        kind, options = multipart.parse_options_header(request.headers.get("content-type", ""))
        if kind != "multipart/form-data":
            raise CadmlError(
                f"expected a body of the type multipart/form-data, found {kind[:100] or 'none'}",
                code="INPUT_FORMAT_INVALID",
            )
        if not options.get("boundary"):
            raise CadmlError("the Content-Type has no boundary", code="INPUT_FORMAT_INVALID")
        return str(options["boundary"])

    def _check_length(self, request: Request[Any, Any, Any]) -> None:
        """Refuse a body by its Content-Length, before anything is received."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body:
            raise self._body_too_large(int(announced))

    def _body_too_large(self, found: int) -> UploadTooLarge:
        return UploadTooLarge(
            f"the upload has {found:,} bytes; allowed are {self._max_files} file(s) of {self._max_bytes:,};"
            " raise ANALYSIS_MAX_FILE_MB to allow more",
            found=found,
            allowed=self._max_bytes,
        )

    def _invalid(self, message: str, **context: Any) -> InvalidInput:
        return InvalidInput(message, stage=self._stage, **context)


async def _body(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """Yield the pieces of the body as they arrive.

    Raises:
        InvalidInput: The client closed the connection before the end.
    """
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise InvalidInput("the client closed the connection in the middle of the body", stage="input")
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return


async def _at_once(call: Callable[..., None], *arguments: Any) -> None:
    call(*arguments)
