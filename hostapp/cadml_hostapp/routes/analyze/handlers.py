"""Handlers of ``/analyze``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from litestar import Request, Response, Router
from litestar.openapi.datastructures import ResponseSpec

from cadml_core import metrics
from cadml_core.analysis import Facts, Stopwatch
from cadml_core.contracts.formats import LENGTH_UNITS, UnitName
from cadml_core.errors import CadmlError, InvalidInput
from cadml_core.intake.intake import SourceFile
from cadml_core.intake.remembered import Known, allows_less
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.http.uploads import Form, FormReader, UploadedFile
from cadml_hostapp.routes.analyze.schemas import (
    AnalyzeAnswer,
    AnalyzeOptions,
    BatchAnswer,
    BatchItem,
    analyze_answer,
)
from cadml_hostapp.routes.declare import READ_ERRORS, REF, invalid, route
from cadml_hostapp.routes.fields import PartId, Text
from cadml_hostapp.services import Services, ServicesDependency

STAGE = "analyze"
_FACTS = ("material", "project", "label")
_BINARY = {"type": "string", "format": "binary"}
_FORM_TEXT = {
    "material": {"type": "string", "description": "What it is made of; searches can be limited to it."},
    "project": {"type": "string", "description": "What it belongs to; likewise."},
    "label": {"type": "string", "description": "What kind of part it is; likewise."},
    "options": {
        "$ref": REF.format(name="AnalyzeOptions"),
        "description": "JSON: `store`, `strict`, `calculate_similarity`, `top_k`, `classify`, `retry`.",
    },
    "unit": {
        "type": "string",
        "enum": list(LENGTH_UNITS),
        "description": "Unit of a file that states none; where absent, what was said of its content before.",
    },
}
_ONE = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {**_BINARY, "description": "The CAD file."},
        **_FORM_TEXT,
        "id": {"type": "string", "maxLength": 200, "description": "Id of the part; made up where absent."},
        "name": {"type": "string", "description": "Name of the part; the file's where absent."},
    },
    "additionalProperties": False,
}
_MANY = {
    "type": "object",
    "required": ["files"],
    "properties": {"files": {"type": "array", "minItems": 1, "items": _BINARY}, **_FORM_TEXT},
    "additionalProperties": False,
}


@route(
    "POST",
    "/",
    *READ_ERRORS,
    stage=STAGE,
    form=_ONE,
    status_code=200,
    responses={
        201: ResponseSpec(AnalyzeAnswer, description="The part is new.", generate_examples=False),
    },
    request_max_body_size=None,
)
async def analyze(request: Request[Any, Any, Any], services: ServicesDependency) -> Response[AnalyzeAnswer]:
    """Read one file, extract its features, store it, and find what is like it.

    A content that is known already is not read again. Sending the same file under the same name again
    changes nothing; `id` names the part, so that a newer file can take its place.
    """
    async with Form(services.runtime.blobs) as form:
        with _counted():
            await _reader(services, frozenset({"file"}), ("id", "name"), max_files=1).read(request, form)
            if not form.files:
                raise InvalidInput("the field 'file' is missing", stage=STAGE, field="file")
            said = _said(form)
        answer = await _analyzed(services, form.files[0], said)
    return Response(answer, status_code=201 if answer.status == "added" else 200)


@route("POST", "/batch", *READ_ERRORS, stage=STAGE, form=_MANY, status_code=200, request_max_body_size=None)
async def analyze_batch(request: Request[Any, Any, Any], services: ServicesDependency) -> BatchAnswer:
    """Read several files at once. One that cannot be read does not fail the others."""
    async with Form(services.runtime.blobs) as form:
        settings = services.runtime.settings
        reader = _reader(
            services,
            frozenset({"files", "file"}),
            (),
            max_files=settings.analysis_max_batch_files,
            tolerant=True,
        )
        with _counted():
            await reader.read(request, form)
            if not form.files:
                raise InvalidInput("the field 'files' is missing", stage=STAGE, field="files")
            said = _said(form)
        items = await asyncio.gather(*(_item(services, file, said) for file in form.files))
    failed = sum(item.status == "error" for item in items)
    return BatchAnswer(total=len(items), succeeded=len(items) - failed, failed=failed, items=list(items))


@contextmanager
def _counted() -> Iterator[None]:
    """Count an upload that is refused, or that fails."""
    try:
        yield
    except Exception as error:
        known = error if isinstance(error, CadmlError) else CadmlError("unexpected", stage=STAGE)
        metrics.analysis_requests_total.labels(status="error").inc()
        metrics.analysis_errors_total.labels(stage=known.stage, code=known.code).inc()
        raise


class _Said(NamedTuple):
    """What the text fields of a form say."""

    facts: Facts
    unit: UnitName | None
    options: AnalyzeOptions


async def _analyzed(services: Services, file: UploadedFile, said: _Said) -> AnalyzeAnswer:
    """Analyse one received file. No thread waits while it is read.

    Raises:
        CadmlError: Whatever refuses the file; nothing of it is stored then.
    """
    with _counted():
        try:
            answer = await _answer(services, file, said)
        except CadmlError as error:
            file.name_in(error)
            raise
    metrics.analysis_requests_total.labels(status="success").inc()
    return answer


async def _answer(services: Services, file: UploadedFile, said: _Said) -> AnalyzeAnswer:
    stopwatch = Stopwatch()
    analyzer = services.runtime.analyzer
    known = await _known(services, file, said, stopwatch)
    # The model answers while the part is stored; neither a thread nor another request waits for it.
    classifying = analyzer.classify(known) if said.options.classify else None
    analysis = await asyncio.get_running_loop().run_in_executor(
        services.writers,
        analyzer.finish,
        *(file.incoming, file.name, known, said.facts, said.options.wanted(), stopwatch),
    )
    if classifying is not None:
        analysis = await classifying.added(analysis, stopwatch)
    return analyze_answer(analysis, file.name, services.feature)


async def _known(services: Services, file: UploadedFile, said: _Said, stopwatch: Stopwatch) -> Known:
    if file.error is not None:
        raise file.error
    analyzer = services.runtime.analyzer
    source = file.source(said.unit)
    if said.options.retry and not _surely_new(services, source):
        await asyncio.get_running_loop().run_in_executor(services.writers, analyzer.retry, source)
    *most, least = analyzer.attempts(store=said.options.store)
    for versions in most:
        try:
            return await _known_with(services, source, versions, stopwatch)
        except CadmlError as error:
            if not allows_less(error):
                raise
    return await _known_with(services, source, least, stopwatch)


async def _known_with(
    services: Services, source: SourceFile, versions: Sequence[str], stopwatch: Stopwatch
) -> Known:
    analyzer = services.runtime.analyzer
    in_thread = partial(asyncio.get_running_loop().run_in_executor, services.writers)
    known = None
    if not _surely_new(services, source):
        known = await in_thread(analyzer.recognise, source, versions)
    stopwatch.lap("recognise")
    if known is None:
        try:
            reading = await asyncio.wrap_future(analyzer.read(source, versions))
        except CadmlError as error:
            await in_thread(analyzer.refused, source, versions, error)
            raise
        stopwatch.lap("read_and_extract")
        stopwatch.note("extract", sum(reading.extract_seconds.values()))
        known = analyzer.known(reading)
    return known


def _surely_new(services: Services, source: SourceFile) -> bool:
    """The query takes less time than going to a thread, unless it has to cross a network."""
    return services.runtime.catalog.local and services.runtime.analyzer.surely_new(source)


async def _item(services: Services, file: UploadedFile, said: _Said) -> BatchItem:
    try:
        answer = await _analyzed(services, file, said)
    except CadmlError as error:
        problem = http_errors.public(error, services.runtime.settings.data_path)
        return BatchItem(file_name=file.name, status="error", error=problem)
    # An unexpected error in one file must not fail the others.
    except Exception as error:  # noqa: BLE001
        return BatchItem(
            file_name=file.name, status="error", error=http_errors.internal(error, STAGE).problem()
        )
    finally:
        file.incoming.close()
    return BatchItem(file_name=file.name, status="success", result=answer)


def _reader(
    services: Services,
    file_fields: frozenset[str],
    more_fields: tuple[Literal["id", "name"], ...],
    *,
    max_files: int,
    tolerant: bool = False,
) -> FormReader:
    return FormReader(
        services.runtime.blobs,
        text_fields=frozenset((*_FACTS, "unit", "options", *more_fields)),
        file_fields=file_fields,
        max_files=max_files,
        max_bytes=services.max_file_bytes,
        stage=STAGE,
        tolerant=tolerant,
    )


class _FormFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The text fields of a form, as they must be."""

    id: PartId | None = None
    name: Text | None = None
    material: Text | None = None
    project: Text | None = None
    label: Text | None = None
    unit: UnitName | None = None


def _said(form: Form) -> _Said:
    """Check the text fields; an empty one counts as not given."""
    given = {name: value for name, value in form.fields.items() if value != ""}
    text = given.pop("options", "{}")
    try:
        checked = msgspec.convert(given, _FormFacts)
        options = msgspec.json.decode(text, type=AnalyzeOptions)
    except msgspec.ValidationError as error:
        raise invalid(error, STAGE, AnalyzeOptions) from None
    except msgspec.DecodeError as error:
        raise InvalidInput(f"options: not valid JSON: {error}", stage=STAGE, field="options") from None
    facts = Facts(**{field: getattr(checked, field) for field in Facts.__struct_fields__})
    return _Said(facts, checked.unit, options)


router = Router("/analyze", route_handlers=[analyze, analyze_batch], tags=["analysis"])
