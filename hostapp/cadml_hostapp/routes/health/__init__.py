"""``/health``, ``/ready`` and ``/metrics``: what monitoring asks."""
