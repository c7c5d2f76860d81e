"""What a plugin implements: plain Protocols, one module for each kind, with that kind's data types."""
