"""The Methods tab as HTML."""

from __future__ import annotations

from html import escape

import numpy as np

from daah.types import Match
from daah.ui.methods.actions import Lineup, Row
from daah.ui.page.html import data_uri, heading, plural, say

WAITING = "Choose a face on the Search tab, or add a photo here."

#: What each method does, in a line.
_WORDS = {
    "LSH": "Random projections of a texture histogram (LBP). Not trained.",
    "ITQ": "Rotates the principal components of the same histogram to lose least by taking signs.",
    "SDH": "Trained on identities, with 300 anchor faces, on the same histogram.",
    "DSH": "A small network for 32x32 pixels, trained on pairs: same person or not.",
    "DDQH": "The same network, trained on identities, with a quantisation loss.",
    "demo": "This project's network with attention, made for people outside its training set.",
    "paper": "DDAH as published: 32x32 pixels with attention, trained on identities.",
}


def sentence(lineup: Lineup) -> str:
    """How far the methods agree."""
    found = lineup.favourite
    bits = {len(row.result.bits) for row in lineup.rows}
    length = f"{bits.pop()} bits" if len(bits) == 1 else "their own lengths"
    if found is None:
        return say("The gallery is empty, so there is nobody to compare with.", "bad")
    match, count = found
    person = match.name
    total = len(lineup.rows)
    if count == total:
        agree = f"agree: all put {person} first"
    elif count == 1:
        agree = f"disagree: all put different people first, one of them {person}"
    else:
        agree = f"disagree: {count} put {person} first"
    more = (
        f" The photo has {plural(lineup.count, 'face')}; the largest is compared."
        if lineup.count > 1
        else ""
    )
    return say(f"{plural(total, 'method')} at {length} {agree}.{more}")


def rows(lineup: Lineup) -> str:
    """Every method with its code and its nearest."""
    favourite = lineup.favourite
    person = favourite[0].person if favourite else ""
    name = favourite[0].name if favourite else ""
    part = (
        f"The small models search {lineup.searched:,} of {lineup.total:,} gallery faces, drawn at "
        "random. "
        if lineup.searched < lineup.total
        else ""
    )
    made = "".join(_row(lineup, row, person) for row in lineup.rows)
    return (
        f"{heading('What each method finds', 'h-methods')}"
        f'<div class="lineup"><figure class="asked">'
        f'<img alt="The aligned face that every method receives" '
        f'src="{data_uri(lineup.face.aligned, 92)}">'
        "<figcaption>What every method receives; the small ones see it at 32x32 pixels."
        f'</figcaption></figure><div class="methods">{made}</div></div>'
        f'<p class="hint">{part}Frames mark {escape(name)}, whom the largest number of '
        "methods put first; that does not make it the right person. The small models were trained "
        f"on public photos of {lineup.people} people, never on these people, so expect weak "
        "results. mAP is that of the small models at this code length, on their training people. "
        "The table below is from other training runs of the same methods (SDH has fewer anchors "
        "here).</p>"
    )


def _row(lineup: Lineup, row: Row, person: str) -> str:
    result = row.result
    known = "" if row.known is None else f" · mAP {row.known:.3f} on its training people"
    words = _WORDS.get(result.name, "")
    mark = " own" if row.project else ""
    matches = "".join(_match(lineup, match, person) for match in result.matches)
    return (
        f'<section class="method{mark}"><h3>{escape(result.name)} '
        f"<small>{len(result.bits)} bits{known}</small></h3>"
        f'<p class="hint">{escape(words)}</p>'
        f"{_cells(result.name, result.bits)}"
        f'<ol class="nearest">{matches}</ol></section>'
    )


def _match(lineup: Lineup, match: Match, person: str) -> str:
    same = ' class="same"' if match.person == person else ""
    own = " · yours" if match.id < 0 else ""
    return (
        f'<li{same}><img alt="Gallery photo {escape(match.photo)}" '
        f'src="{data_uri(lineup.thumbnails[match.id], 75)}">'
        f"<b>{escape(match.name)}{own}</b><span>{plural(match.distance, 'bit')}</span></li>"
    )


def _cells(name: str, bits: np.ndarray) -> str:
    cells = "".join(
        f'<rect class="{"one" if bit else "zero"}" x="{i}" y="0" width=".82" height="1"/>'
        for i, bit in enumerate(bits)
    )
    ones = int(bits.sum())
    return (
        f'<svg class="strip" viewBox="0 0 {len(bits)} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="Code by {escape(name)}: {ones} of {len(bits)} bits are 1">{cells}</svg>'
    )
