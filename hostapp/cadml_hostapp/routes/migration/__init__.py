"""``/vectors/migrate``: what a change of the feature version would do, and doing it."""
