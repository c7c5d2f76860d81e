"""Moving stored vectors from one feature version to another."""
