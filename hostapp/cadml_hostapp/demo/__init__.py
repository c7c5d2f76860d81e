"""Sample parts with planted relations, and what the search makes of them."""
