"""The Gallery tab says whether the gallery's codes are those of a key."""

from __future__ import annotations

from pathlib import Path

from daah import keys
from daah.gallery import Gallery, SessionGallery
from daah.ui.gallery import html
from tests.doubles.encoder import ProjectionEncoder


def test_the_state_of_the_key_is_shown_and_the_key_is_not(tmp_path: Path) -> None:
    secret = keys.Secret(bytes(range(32)))
    shown = {}
    for name, given in (("plain", None), ("keyed", secret)):
        with Gallery.open(tmp_path / name, ProjectionEncoder(), secret=given) as gallery:
            shown[name] = html.summary(gallery, SessionGallery(), public=True)
            if gallery.key is not None:
                assert gallery.key.record not in shown[name]
    assert "No key" in shown["plain"]
    assert "Protected by a key" in shown["keyed"]
    assert secret.value.hex() not in shown["keyed"]
