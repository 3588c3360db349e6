"""HTML that several tabs draw: pictures, sentences, examples, codes.

Pictures travel inside the page as data URIs, so that nothing of a visitor is written to disk to
be shown. Whatever a name or a file says is escaped.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image, ImageOps

from daah.retrieval import explain
from daah.ui.page.examples import Example, Pairing
from daah.ui.page.terms import term

EXPIRED = (
    "This result has been deleted. Results are deleted after {after}, and the oldest of them "
    "earlier when the server needs memory. Add the photo again."
)


def data_uri(rgb: np.ndarray, quality: int = 85) -> str:
    """Pixels (H, W, 3) uint8 as a JPEG inside a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`3 faces`, `1 face`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def percent(probability: float) -> str:
    """A probability in words that never claim certainty."""
    if probability > 0.99:
        return "over 99%"
    if probability < 0.01:
        return "under 1%"
    return f"{probability:.0%}"


def verdict_words(within: bool, probability: float) -> str:
    """A pair within the limit or over it, in words.

    The limit is set where strangers hardly ever pass, so one person may well be over it: then
    neither answer is given.
    """
    if within:
        return "Likely the same person"
    return "Undecided" if undecided(probability) else "Probably different people"


def undecided(probability: float | None) -> bool:
    """Whether a pair over the limit is more likely one person than two."""
    return probability is not None and probability >= 0.5


def say(text: str, tone: str = "") -> str:
    """A sentence for the live region; tone: "", "good", "far" or "bad" (shown as a mark too)."""
    return f'<p class="say {tone}">{escape(text)}</p>'


def examples(offered: Sequence[Example]) -> str:
    """One labelled button for every example."""
    made = [
        f'<button type="button" class="example" data-do="example" data-index="{i}" '
        f'data-name="{e.name}">'
        f'<img alt="{escape(e.alt)}" src="{data_uri(square(e.read()))}">'
        f"<span>{escape(e.label)}</span></button>"
        for i, e in enumerate(offered)
    ]
    return (
        '<p class="hint">Or try an example:</p>'
        f'<div class="examples" role="group" aria-label="Examples">{"".join(made)}</div>'
    )


def pairs(offered: Sequence[Pairing]) -> str:
    """One labelled button for every pair of examples."""
    made = []
    for i, pairing in enumerate(offered):
        shown = "".join(f'<img alt="" src="{data_uri(square(rgb))}">' for rgb in pairing.read())
        made.append(
            f'<button type="button" class="example two" data-do="pair" data-index="{i}" '
            f'data-name="{pairing.name}">'
            f"{shown}<span>{escape(pairing.label)}</span></button>"
        )
    return (
        '<p class="hint">Or try a pair:</p>'
        f'<div class="examples pairs" role="group" aria-label="Pairs">{"".join(made)}</div>'
    )


def square(rgb: np.ndarray, side: int = 120) -> np.ndarray:
    """A small square from the middle of a picture (H, W, 3) uint8."""
    return np.array(ImageOps.fit(Image.fromarray(rgb), (side, side), centering=(0.5, 0.4)))


def slider(aligned: np.ndarray, mask: np.ndarray, strength: float, name: str) -> str:
    """A face and its heatmap on top of each other with a native range input between them."""
    heat = explain.overlay(aligned, mask, strength)
    return (
        '<div class="compare" style="--cut:50%">'
        f'<img alt="Aligned {escape(name)}" src="{data_uri(aligned, 92)}">'
        f'<img class="over" alt="Heatmap of attention on aligned {escape(name)}" '
        f'src="{data_uri(heat, 92)}"><i aria-hidden="true"></i>'
        '<input type="range" min="0" max="100" value="50" data-cut '
        f'aria-label="Share of the heatmap shown on {escape(name)}"></div>'
    )


def colour_key(low: str, high: str) -> str:
    """The scale of a heatmap, with words for both ends."""
    strip = data_uri(explain.colour_key(256, 8), 95)
    return (
        f'<div class="key"><span>{escape(low)}</span><img alt="" src="{strip}">'
        f"<span>{escape(high)}</span></div>"
    )


def two_codes(a: np.ndarray, b: np.ndarray) -> str:
    """Codes a and b (bits,) bool as a drawing: a above, b below, differences between."""
    n = len(a)
    rects = []
    for row, code_bits in ((0, a), (14, b)):
        rects += [
            f'<rect class="one" x="{i}" y="{row}" width=".8" height="8"/>'
            for i in np.flatnonzero(code_bits)
        ]
        rects += [
            f'<rect class="zero" x="{i}" y="{row}" width=".8" height="8"/>'
            for i in np.flatnonzero(~code_bits)
        ]
    rects += [
        f'<rect class="diff" x="{i}" y="9" width=".8" height="4"/>' for i in np.flatnonzero(a != b)
    ]
    differ = int((a != b).sum())
    return (
        f'<svg class="codes" viewBox="0 0 {n} 22" preserveAspectRatio="none" role="img" '
        f'aria-label="Both codes, one above the other; {differ} of {n} bits differ">'
        f"{''.join(rects)}</svg>"
    )


def heading(text: str, id: str, name: str = "") -> str:
    """A section heading; it explains the term `name` where one is given."""
    return f'<h2 id="{id}">{term(name, text) if name else escape(text)}</h2>'
