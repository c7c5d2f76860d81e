"""The built-in plugins; each module is one entry point."""
