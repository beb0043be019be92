"""What the operators of a graph are written with."""
