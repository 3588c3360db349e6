"""The result as one picture to keep: face, mask, code and the nearest person, with the verdict."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daah.retrieval import explain
from daah.ui.page.theme import TITLE
from daah.ui.search.view import View

#: Width and height, those of a link's preview.
SIZE = 1200, 630

#: What a verdict is called, and its colour: those of the page in its light theme.
_VERDICTS = {
    "match": ("Match", "#0b6e4f"),
    "unclear": ("Unclear", "#c2410c"),
    "no match": ("No match", "#5a6675"),
}

_INK, _SOFT, _LINE, _PAPER, _PALE = "#16202e", "#5a6675", "#dde3ea", "#ffffff", "#e9edf1"
_MARGIN, _SIDE, _GAP, _TOP = 48, 258, 24, 112

PROOF = "A match is evidence, never proof of who somebody is."


def draw(view: View, title: str = TITLE, strength: float = 0.6) -> Image.Image:
    """Draw the chosen face's result.

    Args:
        view: the result; it has a chosen face.
        title: what stands above.
        strength: of the heatmap, 0 to 1.

    Returns:
        An RGB picture of SIZE.
    """
    encoded, bits = view.chosen, view.options.bits
    people = view.people[view.session.face]
    card = Image.new("RGB", SIZE, _PAPER)
    pen = ImageDraw.Draw(card)
    _text(pen, (_MARGIN, 36), title, 38, _INK, SIZE[0] - 2 * _MARGIN, bold=True)
    heat = explain.overlay(encoded.face.aligned, encoded.mask, strength)
    _column(card, 0, _picture(encoded.face.aligned), "The face")
    _column(card, 1, _picture(heat), "What the network sees")
    _column(card, 2, barcode(encoded.code.bits[:bits]), f"Its code: {bits} bits")
    best = people[0] if people else None
    if best is None:
        words, colour, meaning = "Nobody is in the gallery", _SOFT, ""
    else:
        named = best.name if best.verdict == "match" else f"Most alike: {best.name}"
        _column(card, 3, _picture(view.thumbnails[best.id]), named)
        words, colour = _VERDICTS[best.verdict]
        if best.verdict == "match":
            words = f"{words}: {best.name}"
        meaning = f"{best.agree} of {best.bits} bits agree. {_explained(best.verdict)}"
    wide = SIZE[0] - 2 * _MARGIN
    pen.rectangle((_MARGIN, 452, _MARGIN + 6, 540), fill=colour)
    _text(pen, (_MARGIN + 24, 448), words, 40, colour, wide - 24, bold=True)
    _text(pen, (_MARGIN + 24, 504), meaning, 25, _INK, wide - 24)
    pen.line((_MARGIN, 566, SIZE[0] - _MARGIN, 566), fill=_LINE, width=2)
    _text(pen, (_MARGIN, 578), PROOF, 21, _SOFT, wide)
    return card


def data_uri(view: View) -> str:
    """The card as a PNG inside a data URI: nothing is written to disk."""
    buffer = io.BytesIO()
    draw(view).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def words(view: View) -> str:
    """What the card says, for who cannot see it."""
    people = view.people[view.session.face]
    if not people:
        return "Result card: nobody is in the gallery."
    best = people[0]
    verdict = _VERDICTS[best.verdict][0]
    named = f"{verdict}: {best.name}" if best.verdict == "match" else verdict
    return f"Result card. {named}. {best.agree} of {best.bits} bits agree."


def barcode(own: np.ndarray, side: int = _SIDE) -> Image.Image:
    """A code (bits,) bool as bars in a square, at most 64 a row."""
    rows = np.array_split(own, max(1, -(-len(own) // 64)))
    drawn = Image.new("RGB", (side, side), _PAPER)
    pen = ImageDraw.Draw(drawn)
    tall = side / len(rows)
    for i, row in enumerate(rows):
        step = side // len(row)
        for j, bit in enumerate(row):
            right = j * step + max(1, round(0.75 * step)) - 1
            pen.rectangle(
                (j * step, round(i * tall), right, round((i + 1) * tall) - 7),
                fill=_INK if bit else _PALE,
            )
    return drawn


def _explained(verdict: str) -> str:
    if verdict == "match":
        return "Few strangers would get a match this good."
    if verdict == "unclear":
        return "It may be this person or somebody else."
    return "This person does not seem to be in the gallery."


def _picture(rgb: np.ndarray) -> Image.Image:
    return Image.fromarray(rgb).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)


def _column(card: Image.Image, place: int, picture: Image.Image, caption: str) -> None:
    left = _MARGIN + place * (_SIDE + _GAP)
    card.paste(picture, (left, _TOP))
    pen = ImageDraw.Draw(card)
    _text(pen, (left, _TOP + _SIDE + 10), caption, 20, _SOFT, _SIDE)


def _text(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    words: str,
    size: int,
    colour: str,
    wide: int,
    bold: bool = False,
) -> None:
    """One line, smaller or cut where it would be wider than `wide` pixels."""
    words = " ".join(words.split())
    while size > 14 and pen.textlength(words, _font(size, bold)) > wide:
        size -= 1
    font = _font(size, bold)
    if pen.textlength(words, font) > wide:
        while words and pen.textlength(f"{words}…", font) > wide:
            words = words[:-1]
        words = f"{words}…"
    pen.text(at, words, fill=colour, font=font)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)
