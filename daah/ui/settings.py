"""Every setting of the screen in one place, with the reason beside it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from daah.errors import ConfigError

PREFIX = "DAAH_"


@dataclass(frozen=True)
class Settings:
    """What an operator may change; `DAAH_<NAME>` in the environment overrides each of them."""

    #: A public host must not let a stranger write to the gallery, so that is the default.
    public: bool = True
    #: Everything of a visitor is gone after this; the page states it in minutes.
    keep_seconds: int = 600
    #: How often what is over is looked for; it is over early enough to be found in time.
    sweep_seconds: int = 30
    #: How often a missing model or gallery is looked for again, while the page says that it is.
    retry_seconds: int = 15
    #: A visitor's own additions live in memory only, and at most this long.
    additions_minutes: int = 60
    #: Faces that one visitor may add; a stranger could fill the memory of the host with them.
    max_additions: int = 50
    #: More waiting visitors than this would wait longer than anybody does; they are told at once.
    queue_size: int = 20
    #: Megabytes of an upload; the limit of `daah.images`, refused before the file is stored.
    max_upload_mb: int = 10
    #: Megabytes of all uploads at one time: a stranger must not fill the disk.
    max_stored_mb: int = 2000
    #: Frames of Live in work at the same time; one more would only slow all of them down.
    live_workers: int = 1
    #: A camera left on must not keep the only Live place for ever.
    live_seconds: int = 120
    #: Matches shown at first: one row of a desktop screen.
    matches: int = 8
    #: A gallery page that draws more faces than this is slow on a phone.
    people_per_page: int = 40
    #: Sessions that are kept; the one that was used least recently goes first.
    max_sessions: int = 500
    #: Megabytes of one session's results and additions. Mostly it is one; a photo of fifty faces
    #: with each of them painted comes near the limit.
    max_session_mb: int = 24
    #: Megabytes of the results and additions of all sessions: a stranger must not fill the memory.
    max_held_mb: int = 400
    #: Megabytes of answers that wait to be fetched.
    max_unread_mb: int = 100
    #: Events of one session that wait, are worked on, or whose answer was not fetched.
    max_waiting: int = 6

    #: Where the code can be read; shown in the header when it is set.
    code_url: str = ""
    #: Torch's threads: a search and Live run at the same time, each on a core of its own.
    threads: int = 1

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The defaults with `DAAH_PUBLIC=0`, `DAAH_KEEP_SECONDS=300` and so on applied.

        Raises ConfigError for a value that is not a number (or yes or no for `public`).
        """
        environ = os.environ if environ is None else environ
        changed: dict[str, bool | int | str] = {}
        for setting in dataclasses.fields(cls):
            text = environ.get(PREFIX + setting.name.upper())
            if text is not None:
                changed[setting.name] = _value(setting.name, text, type(setting.default))
        return cls(**changed)

    @property
    def keep_words(self) -> str:
        """`keep_seconds` as the page states it."""
        minutes = math.ceil(self.keep_seconds / 60)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"

    @property
    def file_age(self) -> int:
        """Seconds after which an upload may go, so that the next sweep still is in time."""
        return max(1, self.keep_seconds - 2 * self.sweep_seconds)

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, int) and value < 1 and not isinstance(value, bool):
                raise ConfigError(f"{setting.name}: expected a number above 0, got {value}")


def _value(name: str, text: str, kind: type) -> bool | int | str:
    if kind is str:
        return text.strip()
    if kind is bool:
        truths = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.strip().lower() not in truths:
            raise ConfigError(f"{PREFIX}{name.upper()}: expected one of {sorted(truths)}")
        return truths[text.strip().lower()]
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{PREFIX}{name.upper()}: expected a whole number") from None
