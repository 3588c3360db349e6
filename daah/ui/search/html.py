"""Values to HTML and to sentences. Pure functions; every word and picture of the result is here.

Pictures travel inside the page as data URIs, so that nothing of a visitor is written to disk to
be shown. Whatever a name or a file says is escaped.
"""

from __future__ import annotations

import base64
import json
import math
from html import escape

import numpy as np

from daah import codes
from daah.images import enlarged
from daah.retrieval import explain
from daah.types import ALIGNED_SIZE, PersonMatch
from daah.ui.page.html import (
    colour_key,
    data_uri,
    heading,
    percent,
    plural,
    say,
    slider,
    two_codes,
)
from daah.ui.page.terms import term
from daah.ui.search import actions, card, cover, result_json
from daah.ui.search.view import View
from daah.ui.state.session import ATTENTION_OFF, ATTENTION_ON, ATTENTION_PAINTED

NO_FACE = "No face found. Try a larger, front-facing face."

#: Share of flipped bits at the bright end of the map of what the code depends on.
FLIPS_SHOWN = 0.25

WAITING = "Add a photo, or choose an example."

#: What a verdict is called on a card, and above its band.
VERDICTS = {"match": "Match", "unclear": "Unclear", "no match": "No match"}
BANDS = {
    "match": "Match",
    "unclear": "Unclear: perhaps one of these, perhaps nobody",
    "no match": "No match: look-alikes, for fun, not identity",
}

#: Said of whoever is first by the logits, not by the bits.
_RERANKED = (
    " Others agree in as many bits or more; the network's values behind the bits put this person "
    "first."
)

#: Share of a photo's width below which the number of a face stands over its box, not on the face.
_SMALL_BOX = 0.2

#: Tone of each verdict, as of `page.html.say`.
TONES = {"match": "good", "unclear": "far", "no match": "none"}


def sentence(view: View) -> str:
    """What came out for all faces and for the chosen one, for eyes and for screen readers."""
    faces = view.faces
    if not faces:
        return NO_FACE
    index, options = view.session.face, view.options
    parts = []
    if len(faces) > 1 or view.session.left_out:
        parts.append(_all_faces(view))
    parts.append(_chosen_words(view))
    parts += _quality_words(view)
    if view.session.turned:
        parts.append(f"The photo was turned by {view.session.turned} degrees to find a face.")
    if options.attention == ATTENTION_OFF:
        parts.append("Attention is off.")
    if options.attention == ATTENTION_PAINTED and index in view.session.painted:
        parts.append("The model looks only where you painted.")
    return " ".join(parts)


def _quality_words(view: View) -> list[str]:
    """What makes the chosen face hard to tell from others; nothing of an ordinary face."""
    quality, people = view.quality[view.session.face], view.people[view.session.face]
    if not quality.reasons:
        return []
    if people and people[0].verdict == "match":
        return [f"This face is {quality.words}, and still near enough for a match."]
    return [f"This face is {quality.words}, so a search may miss the right person."]


def _all_faces(view: View) -> str:
    """How many faces there are, and what became of each."""
    found = found_words(len(view.faces), view.session.left_out).rstrip(".")
    verdicts = [people[0].verdict if people else "no match" for people in view.people]
    said = []
    for verdict, words in (("match", "match"), ("unclear", "unclear"), ("no match", "no match")):
        which = [i + 1 for i, own in enumerate(verdicts) if own == verdict]
        if which and len(which) <= 4:
            numbers = ", ".join(map(str, which))
            said.append(f"{words} for {'face' if len(which) == 1 else 'faces'} {numbers}")
        elif which:
            said.append(f"{words} for {len(which)}")
    return f"{found}: {'; '.join(said)}. Face {view.session.face + 1}:"


def _chosen_words(view: View) -> str:
    people = view.people[view.session.face]
    if not people:
        return "The gallery is empty, so there is nobody to compare with."
    best = people[0]
    agree = f"{best.agree} of {best.bits} bits agree."
    if best.verdict == "match":
        return f"Match: {best.name}. {agree}"
    if best.verdict == "unclear":
        return f"Unclear: the nearest is {best.name}, but it may be somebody else. {agree}"
    return (
        "No match: this person does not seem to be in the gallery. Below, the faces that look "
        "most alike."
    )


def found_words(count: int, left_out: int) -> str:
    """How many faces a photo has; of very many only the largest are searched."""
    if left_out:
        return f"{count + left_out} faces or more found; the {count} largest are searched."
    return f"{plural(count, 'face')} found."


def verdict(view: View) -> str:
    """`sentence` with the tone that goes with it."""
    if not view.faces:
        return say(sentence(view), "bad")
    people = view.people[view.session.face]
    return say(sentence(view), TONES[people[0].verdict] if people else "far")


def boxes(view: View) -> str:
    """The photo with a numbered box on every face."""
    photo, faces = actions.shown_photo(view.session, view.faces)
    height, width = photo.shape[:2]
    drawn = []
    for i, encoded in enumerate(faces):
        x0, y0, x1, y1 = (float(v) for v in encoded.face.box)
        place = (
            f"left:{100 * x0 / width:.2f}%;top:{100 * y0 / height:.2f}%;"
            f"width:{100 * (x1 - x0) / width:.2f}%;height:{100 * (y1 - y0) / height:.2f}%"
        )
        kind = " chosen" if i == view.session.face else ""
        kind += " small" if x1 - x0 < _SMALL_BOX * width else ""
        drawn.append(f'<span class="box{kind}" style="{place}"><b>{i + 1}</b></span>')
    whose = "An example photo" if view.session.example else "Your photo"
    alt = f"{whose} with {plural(len(faces), 'numbered face')}"
    words = []
    if view.session.example:
        words.append("This is a finished example. Add a photo to get your own result.")
    if len(faces) > 1:
        words.append("Tap a face to choose it.")
    hint = (
        f'<figcaption class="hint">{" ".join(words)} '
        '<button type="button" class="link" data-do="clear">Clear</button></figcaption>'
    )
    return (
        f'<figure class="photo" data-point="face"><div class="stage" '
        f'style="aspect-ratio:{width}/{height};--w:{width}px;--ratio:{width / height:.4f}">'
        f'<img alt="{alt}" src="{data_uri(photo)}" draggable="false">'
        f'<div class="layer" aria-hidden="true">{"".join(drawn)}</div></div>{hint}</figure>'
    )


def chips(view: View) -> str:
    """A strip with one button for every face, where there are several."""
    if len(view.faces) < 2:
        return ""
    made = []
    for i, (encoded, people) in enumerate(zip(view.faces, view.people, strict=True)):
        line = "no match"
        if people and people[0].verdict != "no match":
            line = people[0].name + ("" if people[0].verdict == "match" else "?")
        made.append(
            f'<button type="button" class="chip" data-do="face" data-index="{i}" '
            f'aria-pressed="{str(i == view.session.face).lower()}">'
            f'<img alt="" src="{data_uri(encoded.face.aligned)}">'
            f"<span><b>Face {i + 1}</b><small>{escape(line)}</small></span></button>"
        )
    return f'<div class="chips" role="group" aria-label="Faces in the photo">{"".join(made)}</div>'


def heatmap(view: View) -> str:
    """The face as the network is given it, with the heatmap over it, and a slider between them."""
    encoded, options = view.chosen, view.options
    name = f"face {view.session.face + 1}"
    heat = explain.overlay(encoded.face.aligned, encoded.mask, max(options.strength, 0.05))
    return (
        '<figure id="masked"><div class="compare" style="--cut:50%">'
        f'<img alt="What the network is given of {name}" src="{data_uri(view.chosen.seen, 92)}">'
        f'<img class="over" alt="Heatmap of attention on {name}" src="{data_uri(heat, 92)}">'
        '<i aria-hidden="true"></i><input type="range" min="0" max="100" value="50" data-cut '
        f'aria-label="Share of the heatmap shown on {name}"></div>'
        f"{colour_key('hidden', 'matters most')}</figure>"
    )


def closer(view: View) -> str:
    """Where the model looks on the photo, and what the code depends on."""
    options = view.options
    photo, faces = actions.shown_photo(view.session, view.faces)
    shown = explain.overlay_photo(photo, faces, options.strength)
    height, width = photo.shape[:2]
    return (
        f"{heading('What the model looks at', 'h-look')}"
        f'<p class="hint">{_attention_words(view)}</p>'
        '<div class="look even"><figure>'
        f'<div class="stage" style="aspect-ratio:{width}/{height};--ratio:{width / height:.4f}">'
        f'<img alt="Heatmap of attention drawn on the photo" src="{data_uri(shown)}"></div>'
        "<figcaption>On the photo</figcaption></figure>"
        f"<figure>{_depends(view)}</figure></div>"
    )


def _depends(view: View) -> str:
    """The map of what the code depends on, or the button that asks for it."""
    session, encoded, bits = view.session, view.chosen, view.options.bits
    regions = session.regions.get((view.options.attention, session.face))
    if regions is None:
        return (
            '<button type="button" class="small" data-do="depends">Show what the code depends on'
            "</button><figcaption>Another question than where the model looks: how many bits flip "
            "when a region is blurred. Takes a second.</figcaption>"
        )
    flips = explain.code_regions(regions, encoded.code.logits, bits)
    drawn = explain.overlay(
        encoded.face.aligned, np.minimum(flips / FLIPS_SHOWN, 1), view.options.strength
    )
    most = round(float(flips.max()) * bits)
    return (
        f'<img alt="Regions that the code depends on, face {session.face + 1}" '
        f'src="{data_uri(drawn, 92)}">'
        f"{colour_key('no bit flips', f'{percent(FLIPS_SHOWN)} of the bits or more')}"
        f"<figcaption>What the code depends on: bits that flip when a region is blurred, up to "
        f"{most} of {bits} here.</figcaption>"
    )


def _attention_words(view: View) -> str:
    if view.options.attention == ATTENTION_OFF:
        return (
            "Attention is off: every pixel of the aligned face counts the same, and the code "
            "below comes from the whole picture."
        )
    if view.options.attention == ATTENTION_PAINTED:
        if view.session.face in view.session.painted:
            return (
                "This is your own mask: the model sees what you painted and the rest is "
                "hidden. Undo all strokes to return to the model's mask."
            )
        return (
            "Paint on the face below to choose where the model may look. Until then its own mask "
            "stays."
        )
    return (
        "The network computes this mask from the face, on a scale that is the same for every "
        "photo. What is dark and in front of the face is hidden from the code; what is green to "
        "yellow is read as it is, and the brighter it is, the more it usually matters. It shows "
        "where the model looks, not why it decides."
    )


def paint(view: View) -> str:
    """The canvas over the chosen face, when attention is painted; its script is `paint.js`."""
    if view.options.attention != ATTENTION_PAINTED:
        return ""
    index = view.session.face
    face = view.session.encoded[ATTENTION_ON][index].face
    painted = view.session.painted.get(index)
    start = ""
    if painted is not None:
        level = np.rint(255 * enlarged(painted.mask, ALIGNED_SIZE)).astype(np.uint8)
        white = np.repeat(level[..., None], 3, axis=2)
        start = f' data-mask="{data_uri(white, 95)}"'
    return (
        f"{heading('Paint where the model may look', 'h-paint')}"
        '<p class="hint">What you paint stays visible, the rest is hidden from the model. The code '
        "and the matches change with every stroke; undo the last one to return to the model's own "
        "mask. With the keyboard: arrow keys move the brush, space paints.</p>"
        f'<div class="painter"{start}><div class="easel">'
        f'<img alt="Aligned face {index + 1}" src="{data_uri(face.aligned, 92)}" draggable="false">'
        f'<canvas width="{ALIGNED_SIZE}" height="{ALIGNED_SIZE}" tabindex="0" role="application" '
        f'aria-label="Canvas over face {index + 1}"></canvas></div>'
        '<div class="tools"><label>Brush size<input type="range" min="8" max="90" value="36" '
        'data-size></label><button type="button" class="small" data-tool="erase" '
        'aria-pressed="false">Eraser</button>'
        '<button type="button" class="small" data-tool="undo">Undo</button>'
        '<button type="button" class="small" data-tool="clear">Clear</button></div></div>'
    )


def covered(view: View) -> str:
    """The choice of covers, and the answers behind one."""
    return cover.panel(view.cover, view.options.bits, view.options.strength)


def code(view: View) -> str:
    """The code as a barcode, 64 bits a row."""
    bits = view.options.bits
    own = view.chosen.code.bits[:bits]
    other = view.detail.encoded.code.bits[:bits] if view.detail else None
    return (
        f"{barcode(own, other)}"
        f'<p class="hint">{bits // 8} bytes: all that is stored and compared. '
        '<a href="#h-code">See every bit</a></p>'
    )


def barcode(own: np.ndarray, other: np.ndarray | None = None) -> str:
    """A code (bits,) bool as bars, 64 a row; bits that differ from `other` are marked."""
    rows = [range(start, min(start + 64, len(own))) for start in range(0, len(own), 64)]
    bars = []
    for row, places in enumerate(rows):
        for column, i in enumerate(places):
            kind = "one" if own[i] else "zero"
            if other is not None and own[i] != other[i]:
                kind += " diff"
            bars.append(
                f'<rect class="{kind}" x="{column}" y="{row * 15}" width=".82" height="13"/>'
            )
    height = 15 * len(rows) - 2
    return (
        f'<svg class="barcode" viewBox="0 0 64 {height}" preserveAspectRatio="none" role="img" '
        f'style="--rows:{len(rows)}" aria-label="Barcode of the {len(own)} bits">'
        f"{''.join(bars)}</svg>"
    )


def cells(view: View) -> str:
    """The code as cells and as hex; differing bits outlined, a chosen bit explained."""
    encoded, bits, session = view.chosen, view.options.bits, view.session
    own = encoded.code.bits[:bits]
    differs = own != view.detail.encoded.code.bits[:bits] if view.detail else np.zeros(bits, bool)
    cells = []
    focus = session.bit if session.bit is not None and session.bit < bits else 0
    for i, bit in enumerate(own):
        words = f"Bit {i + 1}: {int(bit)}" + (", differs" if differs[i] else "")
        kind = ("on" if bit else "off") + (" differs" if differs[i] else "")
        cells.append(
            f'<button type="button" class="cell {kind}" data-do="bit" data-index="{i}" '
            f'aria-label="{words}" aria-pressed="{str(i == session.bit).lower()}" '
            f'tabindex="{0 if i == focus else -1}"></button>'
        )
    grouped = [f'<span class="byte">{"".join(cells[i : i + 8])}</span>' for i in range(0, bits, 8)]
    hexed = codes.to_hex(codes.prefix(codes.pack(encoded.code.bits), bits))
    title = f"Binary code, {bits} bits"
    legend = '<span class="swatch on"></span>1 <span class="swatch off"></span>0' + (
        f' <span class="swatch differs"></span>differs from {escape(view.detail.match.name)}'
        if view.detail
        else ""
    )
    return (
        f"{heading(title, 'h-code')}"
        '<p class="hint">Choose a bit to see which part of the face decides it.</p>'
        f'<div class="cells" role="group" aria-label="{title}" data-grid>{"".join(grouped)}</div>'
        f'<div class="legend" aria-hidden="true">{legend}</div>'
        f"{_bit(view)}"
        f'<div class="hex"><code aria-label="The code in hexadecimal">{_spaced(hexed)}</code>'
        f'<button type="button" class="small" data-copy="{hexed}">Copy hex</button></div>'
    )


def _bit(view: View) -> str:
    session, encoded = view.session, view.chosen
    bit = session.bit
    if bit is None or bit >= view.options.bits:
        return ""
    region = session.regions[(view.options.attention, session.face)][bit]
    strongest = float(region.max())
    drawn = explain.overlay(
        encoded.face.aligned, explain.region_mask(region), view.options.strength
    )
    value, logit = int(encoded.code.bits[bit]), float(encoded.code.logits[bit])
    flips = strongest >= abs(logit)
    words = (
        "Covering the brightest part is enough to flip it."
        if flips
        else "Covering the brightest part moves it most towards flipping, but no single part "
        "flips it."
    )
    return (
        '<div class="bit" role="status">'
        f'<img alt="Part of the face that moves bit {bit + 1} most" src="{data_uri(drawn, 92)}">'
        f"<p><b>Bit {bit + 1} is {value}.</b> Its score is {logit:+.2f}; the sign gives the bit. "
        f"{words}</p></div>"
    )


def _spaced(hexed: str) -> str:
    return " ".join(hexed[i : i + 4] for i in range(0, len(hexed), 4))


def best(view: View) -> str:
    """The nearest person, the verdict, and what it means."""
    people = view.people[view.session.face]
    if not people:
        return '<p class="hint">Nobody is in the gallery yet.</p>'
    person = people[0]
    buttons = ""
    if person.verdict != "match":
        buttons = (
            '<div class="tools row"><button type="button" class="small" data-do="add">Add this '
            'face for this visit</button><button type="button" class="small" data-tab="Compare">'
            "Compare with another photo</button></div>"
        )
    name = person.name if person.verdict != "no match" else f"Most alike: {person.name}"
    return (
        f'<article class="best {TONES[person.verdict]}">'
        f'<img alt="Gallery photo of {escape(person.name)}" '
        f'src="{data_uri(view.thumbnails[person.id], 90)}">'
        f'<p class="verdict">{VERDICTS[person.verdict]}</p><h3>{escape(name)}</h3>'
        f"{_agreement(person, term('bits'))}"
        f'<p class="hint">{escape(_meaning(view, person))}{_RERANKED * person.reranked}</p>'
        f"{buttons}</article>"
    )


def _agreement(person: PersonMatch, bits: str = "bits") -> str:
    """The share of bits that agree as a bar, long for alike, and in words; `bits` as HTML."""
    return (
        f'<span class="track agree" aria-hidden="true" '
        f'style="--d:{100 * person.agree / person.bits:.1f}%"></span>'
        f"<span>{person.agree} of {person.bits} {bits} agree</span>"
    )


def _meaning(view: View, person: PersonMatch) -> str:
    """What a verdict means in this gallery."""
    if view.rate is None:
        return "This model has no limits for searches, so nothing more can be said."
    people = plural(view.people_searched, "person", "people")
    if person.verdict == "match":
        return (
            f"Of strangers who search this gallery of {people}, fewer than {_share(view.rate)} "
            "would get a match this good."
        )
    if person.verdict == "unclear":
        return (
            f"Strangers who search this gallery of {people} often find somebody as near, and so do "
            "people who are in it with an unlike photo."
        )
    return "Of people who are in the gallery, 19 in 20 are found nearer than this."


def _share(rate: float) -> str:
    """A rate as a share of a power of ten: 0.003 is "3 in 1,000"."""
    whole = 10 ** math.ceil(-math.log10(rate))
    return f"{round(rate * whole)} in {whole:,}"


def people(view: View) -> str:
    """The nearest people as cards, one a person, in bands of the verdict."""
    found = [p for p in view.people[view.session.face] if p.distance <= view.options.threshold]
    out = [
        heading("Closest people", "h-people"),
        f'<p class="hint">{plural(view.gallery, "photo")} of '
        f"{plural(view.people_searched, 'person', 'people')} searched. Choose one to see why.</p>",
    ]
    for verdict, title in BANDS.items():
        band = [p for p in found if p.verdict == verdict]
        if band:
            out.append(f'<h3 class="line {TONES[verdict]}">{title}</h3>{_cards(view, band)}')
    return "".join(out)


def _cards(view: View, found: list[PersonMatch]) -> str:
    cards = []
    for p in found:
        pressed = str(p.id == view.session.match).lower()
        own = " · yours" if p.id < 0 else ""
        photos = f"{plural(p.photos, 'photo')}" if p.photos > 1 else ""
        dim = "" if p.verdict == "match" else " dim"
        cards.append(
            f'<li><button type="button" class="card{dim}" data-do="match" data-id="{p.id}" '
            f'aria-pressed="{pressed}">'
            f'<img alt="Gallery photo of {escape(p.name)}" src="{data_uri(view.thumbnails[p.id])}">'
            f"<span class=words><b>{escape(p.name)}{own}</b>{_agreement(p)}"
            f"<small>{photos}</small></span></button></li>"
        )
    return f'<ol class="cards">{"".join(cards)}</ol>'


def detail(view: View) -> str:
    """The chosen person beside the face: pictures, bits, and why, or why not."""
    chosen, strength = view.detail, view.options.strength
    if chosen is None:
        return ""
    m, number = chosen.match, view.session.face + 1
    return (
        f"{heading(f'Face {number} and {m.name}', 'h-match')}"
        f'<p class="hint">{escape(_pair_words(view))}</p>'
        '<div class="pair"><figure>'
        f"{slider(view.chosen.face.aligned, view.chosen.mask, strength, f'face {number}')}"
        f"<figcaption>Face {number}</figcaption></figure><figure>"
        f"{slider(chosen.encoded.face.aligned, chosen.encoded.mask, strength, m.photo)}"
        f"<figcaption>{escape(m.name)}</figcaption></figure></div>"
        f"{two_codes(view.chosen.code.bits[: m.bits], chosen.encoded.code.bits[: m.bits])}"
        f"{_photos(view)}{_why(view)}"
        '<button type="button" class="main" data-do="again">Search with this face</button>'
    )


def _pair_words(view: View) -> str:
    bits = view.detail.match.bits
    own, theirs = view.chosen.code.bits[:bits], view.detail.encoded.code.bits[:bits]
    differ = int((own != theirs).sum())
    return f"{bits - differ} of {bits} bits agree with this photo, {differ} differ (orange)."


def _photos(view: View) -> str:
    """The person's other photos among the nearest, folded."""
    chosen = view.detail.match
    others = [
        m
        for m in view.matches[view.session.face]
        if m.person == chosen.person and m.id != chosen.id
    ]
    if not others:
        return ""
    drawn = "".join(
        f'<li><button type="button" class="card" data-do="match" data-id="{m.id}">'
        f'<img alt="Gallery photo {escape(m.photo)}" src="{data_uri(view.thumbnails[m.id])}">'
        f"<span class=words>{m.bits - m.distance} of {m.bits} bits agree</span></button></li>"
        for m in others
    )
    return (
        f"<details><summary>{plural(len(others), 'more photo')} of {escape(chosen.name)}</summary>"
        f'<ol class="cards small">{drawn}</ol></details>'
    )


def _why(view: View) -> str:
    """Which parts of the face decide the bits that agree, differ, and separate two people."""
    session, chosen = view.session, view.detail
    regions = session.regions.get((view.options.attention, session.face))
    if regions is None:
        return (
            '<p><button type="button" class="small" data-do="depends">Show which face regions '
            "decide these bits</button></p>"
        )
    bits = chosen.match.bits
    own, theirs = view.chosen.code.bits[:bits], chosen.encoded.code.bits[:bits]
    panels = [
        (own == theirs, f"decide the {int((own == theirs).sum())} bits that agree"),
        (own != theirs, f"decide the {int((own != theirs).sum())} bits that differ"),
    ]
    if view.rival is not None:
        first = own == view.rival.encoded.code.bits[:bits]
        apart = (own == theirs) != first
        panels.append(
            (
                apart,
                f"decide the {int(apart.sum())} bits that separate {chosen.match.name} from "
                f"{view.rival.match.name}",
            )
        )
    figures = []
    for which, words in panels:
        region = explain.subset_regions(regions[:bits], which)
        drawn = explain.overlay(
            view.chosen.face.aligned, explain.region_mask(region), view.options.strength
        )
        figures.append(
            f'<figure><img alt="Regions that {escape(words)}" src="{data_uri(drawn, 92)}">'
            f"<figcaption>Regions that {escape(words)}</figcaption></figure>"
        )
    return f'<div class="look three">{"".join(figures)}</div>'


def download(view: View, drawn: bool = False) -> str:
    """The result to keep, as JSON and as a picture, and the time each step took.

    drawn: whether the picture was asked for, which takes a moment to draw.
    """
    text = json.dumps(result_json.document(view), indent=1).encode()
    uri = "data:application/json;base64," + base64.b64encode(text).decode("ascii")
    steps = ", ".join(f"{step} {1000 * s:.0f} ms" for step, s in view.session.seconds.items())
    took = f'<span class="hint">{escape(steps)}</span>' if steps else ""
    picture = (
        '<button type="button" class="small" data-do="card">Make a result card (picture)</button>'
    )
    shown = ""
    if drawn:
        made = card.data_uri(view)
        picture = (
            f'<a class="small" download="face-hash-search.png" href="{made}">'
            "Download the result card (PNG)</a>"
        )
        shown = f'<img class="result-card" alt="{escape(card.words(view))}" src="{made}">'
    return (
        f'<div class="save">{picture}'
        f'<a class="small" download="face-hash-search.json" href="{uri}">'
        f"Download the result as JSON</a>{took}</div>{shown}"
    )
