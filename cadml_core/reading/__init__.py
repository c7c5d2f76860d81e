"""Reading one file: recognise its format, read it, extract its features."""
