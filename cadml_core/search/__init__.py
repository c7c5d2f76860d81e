"""Finding similar parts, and measuring how well they are found."""
