"""Which basic facts can be seen in a graph and which in a picture (Table S1, Figure 1(a))."""
