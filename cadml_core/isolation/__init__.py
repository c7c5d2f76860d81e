"""Processes that untrusted bytes are handled in, with limits and nothing to lose."""
