"""``/analyze``: upload files, have them read, stored and compared."""
