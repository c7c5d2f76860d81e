"""Unpickle scanned bytes; only the globals that the scan saw can be imported."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

from cadml_core.contracts.policies import PickleScan


class GlobalRefused(pickle.UnpicklingError):
    """The pickle asks for a global that its scan did not see."""


class RestrictedUnpickler(pickle.Unpickler):
    """Admits exactly the globals it is given, named as in the file.

    The standard library's loader maps Python 2 names only after it has asked here, so comparing what is
    written in the file covers both spellings.
    """

    def __init__(self, data: bytes, allowed: Iterable[str]) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed = frozenset(allowed)

    def find_class(self, module: str, name: str, /) -> Any:
        """Import a global that the scan saw.

        Raises:
            GlobalRefused: It did not see this one.
        """
        if f"{module}:{name}" not in self._allowed:
            raise GlobalRefused(f"{module}:{name} was not seen by the scan")
        return super().find_class(module, name)


def scanned_globals(scan: PickleScan) -> tuple[str, ...]:
    """Return ``module:name`` of every resolved global, as written in the file."""
    return tuple(found.raw for found in scan.globals if found.raw is not None)


def load_restricted(data: bytes, allowed: Iterable[str]) -> Any:
    """Unpickle. May raise anything, since the classes that the pickle names run their own code."""
    return RestrictedUnpickler(data, allowed).load()
