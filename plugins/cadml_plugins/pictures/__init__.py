"""The built-in picture makers."""
