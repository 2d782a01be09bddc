"""From a table to a model folder with numbers and a report."""
