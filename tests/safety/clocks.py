"""Clocks that are put forward: imported first, before anything keeps a reference to the real ones.

A number on a line of standard input is so many seconds.
"""

from __future__ import annotations

import sys
import threading
import time

_ahead = 0.0


def _forward(name: str) -> None:
    real = getattr(time, name)
    setattr(time, name, lambda: real() + _ahead)


def _follow() -> None:
    global _ahead
    for line in sys.stdin:
        _ahead += float(line)


def follow() -> None:
    """Put both clocks forward as standard input says, from now on."""
    threading.Thread(target=_follow, daemon=True).start()


for _name in ("monotonic", "time"):
    _forward(_name)
