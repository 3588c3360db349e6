"""The Compare tab's result as HTML."""

from __future__ import annotations

from html import escape

import numpy as np

from daah.retrieval import explain
from daah.retrieval.retriever import Comparison
from daah.types import EncodedFace
from daah.ui.page.html import (
    colour_key,
    data_uri,
    heading,
    percent,
    plural,
    say,
    slider,
    two_codes,
    verdict_words,
)
from daah.ui.page.terms import term
from daah.ui.state.session import Pair

WAITING = (
    "Add two photos, or choose a pair. The largest face of each is compared; then any other can be "
    "chosen."
)
NAMES = ("first face", "second face")


def verdict(found: Comparison) -> str:
    """The sentence that says what came out."""
    if found.same_person is None:
        return say(
            f"{found.distance} of {found.bits} bits differ. This checkpoint is not calibrated at "
            "this length, so there is no verdict.",
        )
    word = verdict_words(found.same_person, found.probability or 0.0)
    agree = found.bits - found.distance
    return say(
        f"{word}: {found.distance} of {found.bits} bits differ, {agree} agree.",
        "good" if found.same_person else "far",
    )


def choices(pair: Pair) -> str:
    """One button for every face of a photo with several, to compare it instead."""
    drawn = []
    for photo, (name, offered) in enumerate(zip(NAMES, pair.offered, strict=True)):
        if len(offered) < 2:
            continue
        made = "".join(
            f'<button type="button" class="chip" data-do="face" data-photo="{photo}" '
            f'data-index="{i}" aria-pressed="{str(i == pair.chosen[photo]).lower()}">'
            f'<img alt="" src="{data_uri(face.aligned)}"><span><b>Face {i + 1}</b></span></button>'
            for i, face in enumerate(offered)
        )
        which = name.split()[0]
        drawn.append(
            f'<p class="hint">Faces of the {which} photo, the largest first:</p>'
            f'<div class="chips" role="group" aria-label="Faces of the {which} photo">{made}</div>'
        )
    return "".join(drawn)


def numbers(pair: Pair, found: Comparison) -> str:
    """Agreeing bits against the limit, and the probability, each with its meaning."""
    least = "–" if found.threshold is None else str(found.bits - found.threshold)
    chance = "–" if found.probability is None else percent(found.probability)
    agree = found.bits - found.distance
    limit_at = 0.0 if found.threshold is None else 100 * (1 - (found.threshold + 0.5) / found.bits)
    notes = [
        f"The {name.split()[0]} photo has {plural(count, 'face')}; "
        f"{f'face {place + 1}' if place else 'the largest'} is compared."
        for name, count, place in zip(NAMES, pair.counts, pair.chosen, strict=True)
        if count > 1
    ]
    return (
        '<dl class="numbers">'
        f"<div><dt>{term('bits', 'Bits')} that agree</dt>"
        f"<dd>{agree} <small>of {found.bits}</small></dd></div>"
        f"<div><dt>{term('limit', 'Limit')}: needed for the same person</dt><dd>{least}</dd></div>"
        f"<div><dt>Probability of the same person</dt><dd>{chance}</dd></div></dl>"
        '<span class="track wide" aria-hidden="true" '
        f'style="--d:{100 * agree / found.bits:.1f}%;--t:{limit_at:.1f}%"></span>'
        '<p class="hint">The bar is longer the more the codes are alike; the mark is the limit. '
        "Codes of two unrelated people agree in about half of their bits. The probability is for "
        "even odds beforehand (50:50): as if, before looking, the same person and two people had "
        "been equally likely. For two photos picked from a crowd it is far lower, because most "
        "pairs are of two people.</p>"
        + (f'<p class="hint">{escape(" ".join(notes))}</p>' if notes else "")
    )


def faces(pair: Pair, strength: float) -> str:
    """Both aligned faces with their heatmaps."""
    figures = "".join(
        f"<figure>{slider(face.face.aligned, face.mask, strength, name)}"
        f"<figcaption>The {name}</figcaption></figure>"
        for face, name in zip(pair.faces, NAMES, strict=True)
    )
    return (
        f"{heading('What the model looks at', 'h-pair-look')}"
        f'<div class="pair">{figures}</div>{colour_key("hidden", "matters most")}'
    )


def bits(pair: Pair, length: int, strength: float) -> str:
    """Both codes, bit under bit, and where on the faces the bits that agree are decided."""
    one, two = (face.code.bits[:length] for face in pair.faces)
    agree = int((one == two).sum())
    parts = [
        heading(f"{agree} of {length} bits agree", "h-pair-bits"),
        '<p class="hint">Above the first code, below the second; a mark between them where they '
        "differ.</p>",
        two_codes(one, two),
    ]
    if pair.regions is None:
        parts.append(
            '<button type="button" class="small" data-do="regions">'
            "Show which face regions the shared bits depend on</button>"
        )
    else:
        shown = "".join(
            _region(face, other, own, length, strength, name)
            for face, other, own, name in zip(
                pair.faces, pair.faces[::-1], pair.regions, NAMES, strict=True
            )
        )
        parts.append(
            f'<div class="pair">{shown}</div>'
            '<p class="hint">Hiding a bright part pushes the bits that agree towards flipping: '
            "the agreement is decided there.</p>"
        )
    return "".join(parts)


def _region(
    face: EncodedFace,
    other: EncodedFace,
    regions: np.ndarray,
    length: int,
    strength: float,
    name: str,
) -> str:
    held = explain.pair_regions(regions, face.code.bits, other.code.bits, length)
    drawn = explain.overlay(face.face.aligned, explain.region_mask(held), strength)
    return (
        f'<figure><img class="face" alt="Parts of the {name} that decide the bits that agree" '
        f'src="{data_uri(drawn, 92)}"><figcaption>The {name}</figcaption></figure>'
    )
