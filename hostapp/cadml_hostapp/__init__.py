"""The host: the Litestar application and the `cadml` command."""
