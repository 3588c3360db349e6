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


@pytest.mark.parametrize("token", ["short", "a" * 40, "abcdefghij klmnopqrstuvwxyz", "é" * 30])
def test_a_token_that_can_be_guessed_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_environment({"DAAH_TOKEN": token})
    assert token not in str(caught.value)


def test_a_token_is_in_no_text_of_the_settings_and_opens_the_gallery() -> None:
    token = "0123456789-abcdefghijklm"
    settings = Settings.from_environment({"DAAH_TOKEN": token})
    assert token not in f"{settings} {settings!r}"
    assert not settings.read_only
    assert Settings().read_only
    assert not Settings(public=False).read_only
