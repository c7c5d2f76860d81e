"""What surrounds every route: keys, limits, errors, metrics, uploads."""
