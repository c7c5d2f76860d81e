"""Everything the plugins registered: one table per kind, name -> object; unknown names are clear errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.contracts.host import HostCommand, HostRoutes
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.contracts.vectors import VectorBackend
from cadml_core.errors import NotFound, PluginUnavailable

T = TypeVar("T")


class Table(dict[str, T]):
    """The objects of one kind, sorted by name. ``table[name]`` explains an unknown name.

    A dict, because format adapters and feature versions are looked up in every request.
    """

    def __init__(self, kind: str, items: Mapping[str, T], failed: Mapping[str, str] | None = None) -> None:
        super().__init__(sorted(items.items()))
        self.kind = kind
        self._failed = dict(failed or {})

    def __missing__(self, name: str) -> T:
        """Refuse a name that is not there.

        Raises:
            PluginUnavailable: Always; the message says what there is, and why that one is not.
        """
        raise PluginUnavailable(
            f"no {self.kind} {name!r}{self._reason(name)}; installed: {', '.join(self) or 'none'}."
            " See `cadml plugins doctor`.",
            kind=self.kind,
            name=name,
        )

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


def named(items: Mapping[str, T], kind: str, name: str, *, stage: str = "plugins") -> T:
    """Return what a caller named from a table, or from a plain mapping of plugin objects.

    A name that is not installed is the caller's mistake; what the settings chose, and a plugin
    that failed, is the host's. Only the latter is PLUGIN_UNAVAILABLE.

    Raises:
        NotFound: Nothing of that name is installed; the message lists what is.
        PluginUnavailable: The plugin of that name failed or is disabled.
    """
    if name in items or (isinstance(items, Table) and name in items.failed):
        return items[name]
    installed = ", ".join(items) or "none"
    raise NotFound(f"no {kind} {name!r}; installed: {installed}", stage=stage, kind=kind, name=name)


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the plugins registered."""

    formats: Table[FormatAdapter]
    features: Table[FeatureVersion]
    policies: Table[OpcodePolicy]
    vectors: Table[VectorBackend]
    pictures: Table[PictureMaker]
    routes: Table[HostRoutes]
    commands: Table[HostCommand]


class Kind(msgspec.Struct, frozen=True):
    """One kind of object that plugins register."""

    hook: str
    """The function of ``hookspecs`` that a plugin implements."""
    name: str
    """What records and messages call it."""
    contract: type
    field: str
    """Where ``Registry`` keeps it."""
    travels: bool = False
    """Whether its objects are sent to the reader processes, so that they must survive ``pickle``."""


# All that depends on the kinds (loading, the registry, the reference page) follows from this table.
KINDS: Mapping[str, Kind] = {
    kind.hook: kind
    for kind in (
        Kind("cadml_format_adapters", "format adapter", FormatAdapter, "formats", travels=True),
        Kind("cadml_feature_versions", "feature version", FeatureVersion, "features", travels=True),
        Kind("cadml_opcode_policies", "opcode policy", OpcodePolicy, "policies"),
        Kind("cadml_vector_backends", "vector backend", VectorBackend, "vectors"),
        Kind("cadml_pictures", "picture maker", PictureMaker, "pictures", travels=True),
        Kind("cadml_routes", "routes", HostRoutes, "routes"),
        Kind("cadml_commands", "command", HostCommand, "commands"),
    )
}


class Contribution(msgspec.Struct, frozen=True):
    """One object that a plugin registers."""

    kind: Kind
    item: Any

    @property
    def name(self) -> str:
        """The name it registers under."""
        return str(self.item.name)


def build_registry(contributions: Iterable[Contribution], failed: Mapping[str, str]) -> Registry:
    """Put the objects into their tables.

    Args:
        contributions: No two of one kind share a name.
        failed: Plugin name -> why there is nothing of it.
    """
    found: dict[str, dict[str, Any]] = {kind.field: {} for kind in KINDS.values()}
    for contribution in contributions:
        found[contribution.kind.field][contribution.name] = contribution.item
    return Registry(**{kind.field: Table(kind.name, found[kind.field], failed) for kind in KINDS.values()})
