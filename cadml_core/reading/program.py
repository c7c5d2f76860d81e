"""What a reader process does: read one file at a time and extract its features."""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter, MeshRequest, ReadLimits, UnitName
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.documents.drawn import DrawingKind
from cadml_core.errors import CadmlError
from cadml_core.isolation.limits import allow_cpu
from cadml_core.reading.detection import display
from cadml_core.reading.identity import FileIdentity
from cadml_core.reading.reading import AdapterFault, read_file
from cadml_core.reading.steps import DRAW_STEP, note_step

DRAW_SECONDS = 4.0
"""Processor time for one picture or model; what takes longer has none."""


class Task(msgspec.Struct, frozen=True):
    """One file to read."""

    path: bytes
    versions: tuple[str, ...]
    identity: FileIdentity | None = None
    """What is known of its content; spares the worker from hashing it again."""
    adapter: str | None = None
    """The format adapter to use; None: the one that recognises the content."""
    mesh: MeshRequest | None = None
    """Return the mesh as well."""
    unit: UnitName | None = None
    """What the sender says of a file that states no unit."""
    draw: tuple[DrawingKind, ...] = ()
    """What is to be drawn of it."""

    @property
    def name(self) -> str:
        """The path as text that can be shown."""
        return display(os.fsdecode(self.path))


class ReaderProgram:
    """Reads files with the plugins that the host has loaded.

    Args:
        plugins: What ``cadml_core.plugins.pickling.pickled`` made: by name, so that they are imported here.
        limits: What one file may cost.
    """

    def __init__(self, plugins: bytes, limits: ReadLimits) -> None:
        self._plugins = plugins
        self._limits = limits
        self._formats: Mapping[str, FormatAdapter] = {}
        self._features: Mapping[str, FeatureVersion] = {}
        self._pictures: Mapping[str, PictureMaker] = {}

    def prepare(self) -> list[str]:
        """Import the plugins, and what their adapters want imported once for all workers."""
        self._formats, self._features, self._pictures = pickle.loads(self._plugins)
        warnings = []
        for adapter in self._formats.values():
            for module in getattr(adapter, "preload", ()):
                try:
                    importlib.import_module(module)
                # Importing may raise anything. Reading says what is missing, for the files that need it.
                except Exception as error:  # noqa: BLE001
                    reason = f"{type(error).__name__}: {error}"
                    warnings.append(f"{adapter.name}: cannot preload {module}: {reason}")
        return warnings

    def answer(self, request: bytes) -> bytes:
        """Read the file of a task; the answer is its reading."""
        task = msgspec.msgpack.decode(request, type=Task)
        path = Path(os.fsdecode(task.path))
        try:
            reading = read_file(
                path,
                formats=self._formats,
                features=self._features,
                versions=task.versions,
                limits=self._limits,
                identity=task.identity,
                adapter=task.adapter,
                mesh=task.mesh,
                unit=task.unit,
                note=_note,
                draw=task.draw,
                pictures=self._pictures,
            )
        except (CadmlError, MemoryError):
            raise
        # Third-party code may raise anything, SystemExit and classes of its own too; the file is refused.
        except BaseException as error:
            raise AdapterFault(
                f"reading {display(path)} ended with {type(error).__name__}: {error}",
                exception=type(error).__name__,
            ) from error
        return msgspec.msgpack.encode(reading)


def _note(step: str) -> None:
    """Say what comes next; drawing has a time of its own, after which the process ends."""
    note_step(step)
    if step == DRAW_STEP:
        allow_cpu(DRAW_SECONDS)
