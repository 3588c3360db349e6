"""Labelled faces: sets, splits, augmentation, and the sources they come from."""
