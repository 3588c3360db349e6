"""What nobody foresaw: a sentence for the visitor, and its place in the code for the log."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

#: Said when the server failed at what it should have been able to do.
FAILED = "The server failed; this was not your fault. Try again, or try another photo."

_PACKAGE = Path(__file__).resolve().parents[2]
_log = logging.getLogger(__name__)


def note(problem: BaseException) -> None:
    """Log the kind of a failure and its place, in this project's code where that is on the way.

    Its text may hold what a visitor sent, or the path of an upload, and so may those it came from.
    """
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(_PACKAGE)]
    places = {_place(frame): None for frame in (*ours[-1:], *frames[-1:])}
    _log.error("%s in %s", type(problem).__name__, ", reached by ".join(reversed(places)))


def _place(frame: traceback.FrameSummary) -> str:
    """Where a frame is: a file of this project by its path in it, others by folder and name."""
    path = Path(frame.filename).resolve()
    around = _PACKAGE if path.is_relative_to(_PACKAGE) else path.parents[1]
    return f"{path.relative_to(around).as_posix()}, line {frame.lineno} ({frame.name})"
