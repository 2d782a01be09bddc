"""How good predictions are, and the models that need no graph network."""
