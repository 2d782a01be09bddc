"""Tables, corpora and datasets."""
