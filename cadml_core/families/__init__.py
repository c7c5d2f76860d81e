"""Families of parts that are shaped alike: how they are found, named, and laid out on a map."""
