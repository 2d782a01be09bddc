"""The benchmark: what is run, what each run depends on, what they say together."""
