"""Name -> plugin object, one table per kind; unknown names are clear errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.contracts.host import HostCommand, HostRoutes
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.contracts.vectors import VectorBackend
from cadml_core.errors import NotFound, PluginUnavailable

T = TypeVar("T")


class Table(Mapping[str, T], Generic[T]):
    """The objects of one kind, sorted by name."""

    def __init__(self, kind: str, items: Mapping[str, T], failed: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._items = dict(sorted(items.items()))
        self._failed = dict(failed or {})

    def __getitem__(self, name: str) -> T:
        """Return the object of that name.

        Raises:
            PluginUnavailable: There is none; the message says what there is, and why that one is not.
        """
        try:
            return self._items[name]
        except KeyError:
            raise PluginUnavailable(
                f"no {self.kind} {name!r}{self._reason(name)}; installed: {', '.join(self) or 'none'}."
                " See `cadml plugins doctor`.",
                kind=self.kind,
                name=name,
            ) from None

    def named(self, name: str, *, stage: str = "plugins") -> T:
        """Return the object that a caller named: in a request, in an option or in a file.

        Args:
            name: Its name.
            stage: The operation, for the error.

        Raises:
            NotFound: Nothing of that name is installed; the message lists what is.
            PluginUnavailable: The plugin of that name failed or is disabled.
        """
        return named(self, self.kind, name, stage=stage)

    @property
    def failed(self) -> Mapping[str, str]:
        """Name of each plugin that was not loaded -> why."""
        return self._failed

    def _reason(self, name: str) -> str:
        if name in self._failed:
            return f" (its plugin {self._failed[name]})"
        close = difflib.get_close_matches(name, self, n=1)
        return f" (did you mean {close[0]!r}?)" if close else ""

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def named(items: Mapping[str, T], kind: str, name: str, *, stage: str = "plugins") -> T:
    """Return what a caller named from a table, or from a plain mapping of plugin objects.

    What a caller names and nobody installed is the caller's mistake; what the settings chose, and a plugin
    that failed, is the host's. Only the latter is PLUGIN_UNAVAILABLE.

    Raises:
        NotFound: Nothing of that name is installed; the message lists what is.
        PluginUnavailable: The plugin of that name failed or is disabled.
    """
    if name in items or (isinstance(items, Table) and name in items.failed):
        return items[name]
    installed = ", ".join(items) or "none"
    raise NotFound(f"no {kind} {name!r}; installed: {installed}", stage=stage, kind=kind, name=name)


class Registry(msgspec.Struct, frozen=True):
    """Everything the plugins registered."""

    formats: Table[FormatAdapter]
    features: Table[FeatureVersion]
    policies: Table[OpcodePolicy]
    vectors: Table[VectorBackend]
    routes: Table[HostRoutes]
    commands: Table[HostCommand]
