"""Settings of the page."""

from __future__ import annotations

import pytest

from daah.errors import ConfigError
from daah.ui.settings import Settings

# ------------------------------------------------------------------------------ settings and guard


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().public
    made = Settings.from_environment({"DAAH_PUBLIC": "no", "DAAH_KEEP_SECONDS": "300"})
    assert (made.public, made.keep_seconds, made.keep_words) == (False, 300, "5 minutes")
    for wrong in ({"DAAH_PUBLIC": "maybe"}, {"DAAH_QUEUE_SIZE": "x"}, {"DAAH_QUEUE_SIZE": "0"}):
        with pytest.raises(ConfigError):
            Settings.from_environment(wrong)
