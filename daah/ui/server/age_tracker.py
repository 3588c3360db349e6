"""How old things are by a clock that never jumps: the wall's can be set while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping


class AgeTracker:
    """Remembers when each key came up first; those that are not named any more are forgotten.

    clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._born: dict[Hashable, float] = {}
        self._last: float | None = None

    def of(self, stated: Mapping[Hashable, float]) -> dict[Hashable, float]:
        """Seconds since each key came up, for all keys that there are now.

        stated: how old each is by the wall clock. That is believed of what was there at the first
        call, and later as far as it lies after the call before: a key is new then.
        """
        now = self._clock()
        most = float("inf") if self._last is None else now - self._last
        self._born = {
            key: self._born.get(key, now - min(max(age, 0.0), most)) for key, age in stated.items()
        }
        self._last = now
        return {key: now - born for key, born in self._born.items()}
