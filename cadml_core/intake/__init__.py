"""How parts enter the catalogue, and where their values come from."""
