"""What a training step is: one file a recipe, driven by the loop in `daah.training.loop`."""
