"""What could be put aside, as a script or CSV that a person may run. Nothing here touches a file."""

from __future__ import annotations

import csv
import io
import itertools
import os
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cadml_core.catalog.paths import text_to_path
from cadml_core.catalog.records import Part
from cadml_core.duplicates.report import ReportedGroup, ReportedPart, Reporter
from cadml_core.duplicates.spreadsheet import best_edges
from cadml_core.intake.spreadsheets import guarded
from cadml_core.relations.relation import Kind

PLANNED: tuple[Kind, ...] = ("identical", "same")
"""Only of these kinds of groups is one part enough."""
_EXACT = ("bytes", "features", "features_relaxed")
_COLUMNS = ("group", "keep", "keep_sha256", "put_aside", "sha256", "words")


class Step(NamedTuple):
    """A file that is not needed beside another."""

    group: str
    keep: str
    """Path as ``path_to_text`` writes it."""
    keep_sha256: str
    aside: str
    sha256: str
    words: str
    """What it is to the group."""


def steps(reporter: Reporter, groups: Iterable[ReportedGroup]) -> Iterator[Step]:
    """Yield the files beside each lead that have the same bytes or the same faces and edges.

    Of every format one file is kept: a translation is often wanted. Meshes that are the same within their
    error are kept as well, since one of them may be finer.
    """
    for one in groups:
        if one.kind not in PLANNED:
            continue
        edges = best_edges(one)
        kept: dict[str | None, tuple[str, str]] = {}
        parts: Iterable[ReportedPart | Part] = itertools.chain(one.parts, reporter.rest(one))
        for part in parts:
            if part.path is None or part.sha256 is None:
                continue
            if part.format not in kept:
                kept[part.format] = (part.path, part.sha256)
                continue
            path, sha256 = kept[part.format]
            edge = edges.get(part.id)
            words = "identical file" if part.sha256 == sha256 else edge.words if edge else ""
            if part.sha256 == sha256 or (edge is not None and edge.evidence in _EXACT):
                yield Step(one.id, path, sha256, part.path, part.sha256, words)


def as_csv(planned: Iterable[Step]) -> bytes:
    """Return the steps as CSV."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    writer.writerows([guarded(text) for text in step] for step in planned)
    return stream.getvalue().encode()


def as_script(planned: Iterable[Step]) -> bytes:
    """Return the steps as a POSIX shell script that moves files into a folder, and deletes nothing.

    It moves a file only while it and the one that is kept are what they were when they were compared.
    """
    lines = [_HEAD.encode()]
    lines += [
        b"aside " + b" ".join(map(_quoted, (step.keep, step.keep_sha256, step.aside, step.sha256)))
        for step in planned
    ]
    return b"\n".join(lines) + b"\n"


def _quoted(text: str) -> bytes:
    return os.fsencode(shlex.quote(os.fsdecode(os.fsencode(text_to_path(text)))))


_HEAD = """#!/bin/sh
# Moves copies of parts into a folder of your choice. Read it first. It deletes nothing.
#   sh plan.sh FOLDER
set -eu
folder=${1:?give the folder that copies are moved to}
is() { [ -f "$1" ] && [ "$(sha256sum < "$1" | cut -d ' ' -f 1)" = "$2" ]; }
aside() {
  if is "$1" "$2" && is "$3" "$4"; then
    mkdir -p -- "$folder$(dirname -- "$3")"
    mv -n -- "$3" "$folder$3"
  else
    printf 'left, as it or the file to keep has changed: %s\\n' "$3" >&2
  fi
}
"""
