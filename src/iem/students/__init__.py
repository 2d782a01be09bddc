"""Graph networks with the graphs they eat."""
