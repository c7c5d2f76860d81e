"""The feature version ``shape``: what a part's surface looks like, whatever its place, format and facets."""
