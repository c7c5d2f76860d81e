"""Sample parts with known relations, and a check that the search finds them."""
