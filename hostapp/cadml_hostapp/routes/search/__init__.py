"""``/vectors/search`` and ``/vectors/similarity``: find the parts that are like another."""
