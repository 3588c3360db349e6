"""Training: the loop, losses, the teacher, and one recipe per kind of model."""
