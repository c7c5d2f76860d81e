"""The pickle scan: what loading a pickle would import, call and change, found without loading it."""
