"""``/features``: the feature versions and their slots."""
