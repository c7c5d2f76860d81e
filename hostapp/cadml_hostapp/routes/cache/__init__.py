"""``/health/features/cache``: the feature cache, its tuning and its warming."""
