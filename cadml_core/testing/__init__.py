"""The conformance kit that plugin authors inherit."""
