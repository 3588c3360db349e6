"""Terms of the field, each explained in a sentence on hover, on tap and by the keyboard."""

from __future__ import annotations

from html import escape

TERMS = {
    "bits": "A bit is a 1 or a 0. Two photos of one person agree in most of their bits, photos of "
    "two people in about half.",
    "code": "The code is the row of bits that the network computes from a face. It is all that is "
    "stored and compared.",
    "limit": "The limit is how many bits must agree before two photos are said to show the same "
    "person. It was measured on people who are not in the training data.",
    "mask": "The mask says how much of each part of the picture is kept. The network computes it "
    "from the picture, and computes the code from nothing but what is kept.",
    "FPIR": "FPIR is the false positive identification rate: of the searches for people who are "
    "not in the gallery, the share that find somebody.",
    "FNIR": "FNIR is the false negative identification rate: of the searches for people who are "
    "in the gallery, the share that do not find them.",
    "mAP": "mAP is the mean average precision: 1 when every search lists all photos of the right "
    "person before any other.",
}


def term(name: str, shown: str = "") -> str:
    """A word that explains itself.

    Args:
        name: one of TERMS.
        shown: the words that stand in the sentence, "" for the term itself.

    Returns:
        HTML; the explanation is the one of `definitions`, shown by `terms.js`.
    """
    if name not in TERMS:
        raise KeyError(f"term: expected one of {', '.join(TERMS)}, got {name}")
    return (
        f'<span class="term" role="button" tabindex="0" data-term="{name}" '
        f'aria-describedby="term-{name}">{escape(shown or name)}</span>'
    )


def definitions() -> str:
    """All explanations, once on the page, and the bubble in which one is shown."""
    said = "".join(f'<span id="term-{k}">{escape(v)}</span>' for k, v in TERMS.items())
    return (
        f'<div hidden>{said}</div><div id="term-shown" popover="manual" aria-hidden="true"></div>'
    )
