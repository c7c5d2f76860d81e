"""What was read lately, in memory: the cache of feature vectors, its tuning, and what it is warmed with."""
