"""The engine in Chromium against the server's: the same faces, and the same codes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.on_device import OnDevice, compared, same_first
from daah.data.sources import Photo
from daah.images import read_image, shrink
from daah.models.encoder import FaceEncoder
from daah.ui.page.examples import EXAMPLES

pytestmark = pytest.mark.browser

_RESIZED = """async ([text, width, height]) => {
  const { cut, extended, reduce, resize, shrink } = await import(
    new URL("engine/resampling.js", location.href)
  );
  const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const picture = { data, width, height, step: 3 };
  return {
    box: [...resize(picture, 24, 24, "box", [3.25, 1.5, 40.75, 39]).data],
    bicubic: [...resize(picture, 30, 17, "bicubic").data],
    lanczos: [...shrink(picture, 20).data],
    reduce: [...reduce(picture, 2).data],
    cut: [...cut(picture, [-2, -3, 5, 4], 127).data],
    extended: [...extended(picture, 3).data],
  };
}"""


def test_codes_boxes_and_first_matches_are_the_servers(
    static_page: str,
    visit: Callable[..., Any],
    encoder: FaceEncoder,
    orl_photos: list[Photo],
) -> None:
    """One photo of each person of ORL, and every example."""
    photos = [photo.rgb for photo in orl_photos[::10]]
    photos += [read_image(example.path) for example in EXAMPLES]
    parity, pairs = compared(OnDevice(visit(static_page)), encoder, photos)
    assert (parity.photos, parity.missed) == (len(photos), 0)
    assert parity.agreeing >= 0.99 * parity.bits
    assert parity.bits >= len(orl_photos[::10]) * encoder.bits
    assert parity.box < 2
    assert parity.landmark < 2
    assert same_first(pairs) >= len(pairs) - 1


def test_pictures_are_resized_by_pillows_arithmetic(
    static_page: str, visit: Callable[..., Any]
) -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (41, 53, 3), np.uint8)

    text = base64.b64encode(rgb.tobytes()).decode()
    found = visit(static_page).evaluate(_RESIZED, [text, 53, 41])
    image = Image.fromarray(rgb)
    padded = np.pad(rgb, ((3, 3), (3, 3), (0, 0)), mode="edge")
    beyond = np.full((7, 7, 3), 127, np.uint8)
    beyond[3:, 2:] = rgb[:4, :5]
    expected = {
        "box": image.resize((24, 24), Image.Resampling.BOX, box=(3.25, 1.5, 40.75, 39)),
        "bicubic": image.resize((30, 17), Image.Resampling.BICUBIC),
        "lanczos": shrink(rgb, 20),
        "reduce": image.reduce(2),
        "cut": beyond,
        "extended": padded,
    }
    for name, values in expected.items():
        difference = np.abs(np.asarray(values, int).ravel() - found[name])
        assert difference.max() <= (1 if name == "lanczos" else 0), name
