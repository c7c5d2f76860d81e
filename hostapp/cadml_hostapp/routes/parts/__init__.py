"""``/parts``: list, show and delete what is in the catalogue."""
