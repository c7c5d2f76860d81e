"""What ``/plugins`` answers."""

from __future__ import annotations

import msgspec

from cadml_core.plugins.records import PluginRecord


class PluginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one plugin."""

    name: str
    distribution: str
    version: str
    target: str
    status: str
    kinds: tuple[str, ...]
    provides: tuple[str, ...]
    error: str | None
    hint: str | None
    import_seconds: float


def plugin_answer(record: PluginRecord) -> PluginAnswer:
    """Show a record without its traceback, which names paths of the server."""
    return PluginAnswer(**{field: getattr(record, field) for field in PluginAnswer.__struct_fields__})
