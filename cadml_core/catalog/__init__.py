"""The durable catalogue: tables, store, change sequence."""
