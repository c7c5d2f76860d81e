"""``/vectors``: register, list, show and delete feature vectors."""
