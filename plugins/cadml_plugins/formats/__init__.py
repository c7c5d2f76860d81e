"""Built-in format adapters."""
