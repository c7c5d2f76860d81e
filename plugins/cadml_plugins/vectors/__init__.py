"""Built-in vector backends."""
