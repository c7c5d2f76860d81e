"""Built-in feature versions."""
