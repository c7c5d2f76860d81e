"""Finding, loading and registering plugins."""
