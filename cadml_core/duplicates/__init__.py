"""Which parts of a catalogue are the same: runs, groups, decisions, and reports of them."""
