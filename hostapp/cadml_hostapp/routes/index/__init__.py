"""``/health/faiss`` and ``/vectors/backend``: the state of the vector index, and how an admin changes it."""
