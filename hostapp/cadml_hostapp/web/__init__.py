"""The documentation page: plain HTML, one script and one style, so that it works without a network."""
