"""Training: the loops, losses, and one recipe per kind of model."""
