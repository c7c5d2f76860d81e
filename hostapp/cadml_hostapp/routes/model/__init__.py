"""``/model``: which classifier serves, and changing it."""
