"""The sandbox: processes that handle untrusted bytes, with limits and without the host's secrets."""
