"""Many molecules without labels: made ready, and looked at."""
