"""Every hook that a plugin may implement. Hooks only register objects; the contracts say what those do."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.contracts.host import HostCommand, HostRoutes
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.contracts.vectors import VectorBackend

PROJECT = "cadml"
ENTRY_POINT_GROUP = "cadml.v1"
"""The generation of the contracts that this host speaks; a breaking change is a new group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook that it is named after."""


@hookspec
def cadml_format_adapters() -> Iterable[FormatAdapter]:  # type: ignore[empty-body]
    """Return the format adapters that this plugin adds."""


@hookspec
def cadml_feature_versions() -> Iterable[FeatureVersion]:  # type: ignore[empty-body]
    """Return the feature versions that this plugin adds."""


@hookspec
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:  # type: ignore[empty-body]
    """Return the opcode policies that this plugin adds."""


@hookspec
def cadml_vector_backends() -> Iterable[VectorBackend]:  # type: ignore[empty-body]
    """Return the vector backends that this plugin adds."""


@hookspec
def cadml_pictures() -> Iterable[PictureMaker]:  # type: ignore[empty-body]
    """Return the picture makers that this plugin adds."""


@hookspec
def cadml_routes() -> Iterable[HostRoutes]:  # type: ignore[empty-body]
    """Return the routes that this plugin adds to the server."""


@hookspec
def cadml_commands() -> Iterable[HostCommand]:  # type: ignore[empty-body]
    """Return the subcommands that this plugin adds to ``cadml``."""
