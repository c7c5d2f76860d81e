"""Send plugins to the fork server: by name, so that it imports them for itself."""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.errors import PluginUnavailable


def pickled(
    formats: Mapping[str, FormatAdapter],
    features: Mapping[str, FeatureVersion],
    pictures: Mapping[str, PictureMaker] | None = None,
) -> bytes:
    """Pickle the plugins for the fork server: classes and functions by name, modules too.

    Raises:
        PluginUnavailable: One of them cannot be found by name from another process.
    """
    kinds: dict[str, Mapping[str, object]] = {
        "format adapter": formats,
        "feature version": features,
        "picture maker": pictures or {},
    }
    for kind, items in kinds.items():
        for name, item in items.items():
            _pickle(item, f"the {kind} {name}")
    return _pickle((dict(formats), dict(features), dict(pictures or {})), "the plugins")


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        return (importlib.import_module, (obj.__name__,)) if isinstance(obj, ModuleType) else NotImplemented


def _pickle(item: object, what: str) -> bytes:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(item)
    # Pickling runs the plugin's code, which may raise anything.
    except Exception as error:
        raise PluginUnavailable(
            f"{what} cannot be sent to the reader processes: {error}; define its class at the top level of"
            " an importable module",
            reason=str(error),
        ) from error
    if getattr(type(item), "__module__", "") == "__main__":
        raise PluginUnavailable(
            f"{what} is defined in the main script, where reader processes cannot import it from; move it"
            " into a module",
            reason="defined in __main__",
        )
    return buffer.getvalue()
