"""``/plugins``: every plugin record."""
