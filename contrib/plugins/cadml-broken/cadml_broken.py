"""Raises on import, as a plugin built for another release might."""

raise RuntimeError("this plugin is broken on purpose")
