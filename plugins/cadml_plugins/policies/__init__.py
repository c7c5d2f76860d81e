"""Built-in opcode policies."""
