"""Triangle meshes: what the readers of every format share."""
