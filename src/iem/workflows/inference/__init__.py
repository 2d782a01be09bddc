"""A trained model at work, by graphs alone."""
