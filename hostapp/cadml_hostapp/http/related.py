"""Combined searches over HTTP: by the id of a part, and by a file that is read and not stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from cadml_core.contracts.formats import UnitName
from cadml_core.errors import CadmlError, InvalidInput, UnsupportedContent
from cadml_core.intake.intake import SourceFile
from cadml_core.intake.remembered import Known, known_from
from cadml_core.runtime import Runtime
from cadml_core.search.combined import COMBINED
from cadml_core.search.related import CombinedResult
from cadml_core.search.sizes import extents_of, sized
from cadml_hostapp.http.uploads import UploadedFile
from cadml_hostapp.routes.search.schemas import FileSearchOptions, SearchRequest


def related(runtime: Runtime, body: SearchRequest) -> CombinedResult:
    """Return what the combined search finds for a stored part.

    Raises:
        InvalidInput: Another version is named, or something is asked that only one version can answer.
        NotFound: There is no such version or part, or it has no vector.
    """
    if body.feature_version is not None and body.feature_version != COMBINED:
        runtime.registry.features.named(body.feature_version, stage="similarity")
        allowed = f"{COMBINED}, {runtime.feature.name}"
        raise InvalidInput(
            f"searches in {body.feature_version!r} are not served; allowed: {allowed}",
            stage="similarity",
            field="feature_version",
        )
    for field, given in (
        ("vector", body.id is None),
        ("ranges", bool(body.ranges)),
        ("metric", body.metric != "scaled"),
    ):
        if given:
            raise InvalidInput(
                f"the combined search takes no {field}: it compares parts, not vectors of one version",
                stage="similarity",
                field=field,
            )
    part_id, which = body.id or "", body.which()
    if body.size_within is not None:
        which = sized(which, extents_of(runtime.catalog, part_id), body.size_within)
    return runtime.combined.by_id(
        part_id,
        k=body.k,
        which=which,
        min_score=body.min_score,
        include_self=body.include_self,
        explain=body.explain,
        relations=body.wanted(),
    )


async def related_to_file(
    runtime: Runtime,
    threads: Executor,
    file: UploadedFile,
    asked: FileSearchOptions,
    unit: UnitName | None,
) -> CombinedResult:
    """Return what the combined search finds for a received file. No thread waits while it is read.

    Raises:
        CadmlError: Whatever refuses the file, or a limit of the search.
    """
    loop, source = asyncio.get_running_loop(), file.source(unit)
    versions = await loop.run_in_executor(threads, runtime.combined.versions)
    try:
        try:
            known = await _known(runtime, threads, source, versions)
        except UnsupportedContent:  # it may hold no surface, which only the version that is preferred needs
            known = await _known(runtime, threads, source, versions[-1:])
    except CadmlError as error:
        file.name_in(error)
        raise
    return await loop.run_in_executor(threads, _by_content, runtime, known, asked)


async def _known(runtime: Runtime, threads: Executor, source: SourceFile, versions: Sequence[str]) -> Known:
    loop, intake = asyncio.get_running_loop(), runtime.intake
    [known] = await loop.run_in_executor(threads, intake.recognise, [source], [versions])
    if isinstance(known, CadmlError):
        raise known
    if known is not None:
        return known
    try:
        return known_from(await asyncio.wrap_future(intake.submit(source, versions)))
    except CadmlError as error:
        await loop.run_in_executor(threads, intake.refused, source, versions, error)
        raise


def _by_content(runtime: Runtime, known: Known, asked: FileSearchOptions) -> CombinedResult:
    which = asked.which()
    if asked.size_within is not None:
        box = known.content.document.bounding_box
        if box is None:
            raise InvalidInput("the file holds no geometry, so it has no size", stage="similarity")
        which = sized(which, box.extents, asked.size_within)
    return runtime.combined.by_content(
        known.content,
        {name: vector.values for name, vector in known.vectors.items()},
        k=asked.k,
        which=which,
        min_score=asked.min_score,
        explain=asked.explain,
        relations=asked.wanted(),
    )
