"""Every setting of the page, with its reason."""

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
    """The operator's settings; `DAAH_<NAME>` in the environment overrides each of them.

    Raises:
        ConfigError: a number is below 1.
    """

    #: A public host must not let a stranger write to the gallery, so that is the default.
    public: bool = True
    #: All data of a visitor is deleted within this time; the page states it in minutes.
    keep_seconds: int = 600
    #: Seconds between deletions. Data expires early enough to be deleted in time.
    sweep_seconds: int = 30
    #: Seconds between attempts to load a missing model or gallery, while the page reports it.
    retry_seconds: int = 15
    #: A visitor's own additions are kept in memory only, and at most so many minutes.
    additions_minutes: int = 60
    #: Faces that one visitor may add; without a limit they could fill the memory of the host.
    max_additions: int = 50
    #: Maximum number of waiting events; further ones are refused at once instead of waiting long.
    queue_size: int = 20
    #: Maximum size of an upload in megabytes, checked before it is stored; as in `daah.images`.
    max_upload_mb: int = 10
    #: Maximum size of all stored uploads in megabytes: visitors must not fill the disk.
    max_stored_mb: int = 2000
    #: Frames of Live that are processed at the same time; more only slow each other down.
    live_workers: int = 1
    #: Seconds of Live per visitor: a camera left on must not occupy the only place for ever.
    live_seconds: int = 120
    #: Whether pages may hold the names and codes of a gallery that somebody made, which lets Live
    #: name people without asking. Those of the built-in galleries always may, in a local run all.
    share_codes: bool = False
    #: Matches shown at first: one row of a desktop screen.
    matches: int = 8
    #: A gallery page that draws more faces than this is slow on a phone.
    people_per_page: int = 40
    #: Maximum number of sessions; the least recently used is dropped first.
    max_sessions: int = 500
    #: Megabytes of one session's results and additions. One is typical; a photo of fifty faces with
    #: a painted mask for each is near the limit.
    max_session_mb: int = 24
    #: Megabytes of the results and additions of all sessions: visitors must not fill the memory.
    max_held_mb: int = 400
    #: Megabytes of answers that are not yet fetched.
    max_unread_mb: int = 100
    #: Events of one session that are waiting, in progress, or whose answer is not yet fetched.
    max_waiting: int = 6

    #: Where the code can be read; shown in the header when it is set.
    code_url: str = ""
    #: PyTorch's threads: a search and Live run at the same time, each on its own core.
    threads: int = 1

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The defaults, overridden by `DAAH_PUBLIC=0`, `DAAH_KEEP_SECONDS=300` and so on.

        Args:
            environ: the environment; None takes that of the process.

        Returns:
            The settings.

        Raises:
            ConfigError: a value cannot be parsed, or a number is below 1.
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
        """Seconds after which an upload expires, so that the next sweep deletes it in time."""
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
