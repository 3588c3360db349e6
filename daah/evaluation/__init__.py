"""Evaluation protocols, from photos or prepared faces to reports."""
