"""Protocol 1 on a folder of photos: any hasher to a report."""

from __future__ import annotations

from daah.open_set import OpenSetScores, open_set, open_set_floats

__all__ = ["OpenSetScores", "open_set", "open_set_floats"]
