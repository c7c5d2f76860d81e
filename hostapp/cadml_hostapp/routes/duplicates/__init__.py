"""``/duplicates`` and ``/families``: which parts are the same, which are alike, and decisions."""
