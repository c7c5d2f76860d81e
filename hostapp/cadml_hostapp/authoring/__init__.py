"""For authors of plugins: the first version of one, and a scorecard of any that is installed."""
