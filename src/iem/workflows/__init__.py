"""The verbs of the command line, a module each, and in folders how their work is done."""
