"""The rights that a process gives up before it handles untrusted bytes."""
