"""Values to HTML and to sentences. Pure functions; every word and picture of the result is here.

Pictures travel inside the page as data URIs, so that nothing of a visitor is written to disk to
be shown. Whatever a name or a file says is escaped.
"""

from __future__ import annotations

import base64
import json
from html import escape

import numpy as np

from daah import codes
from daah.images import enlarged
from daah.retrieval import explain
from daah.types import ALIGNED_SIZE, Match
from daah.ui.page.html import (
    colour_key,
    data_uri,
    heading,
    percent,
    plural,
    say,
    slider,
    two_codes,
    undecided,
    verdict_words,
)
from daah.ui.search import actions, cover, result_json
from daah.ui.search.view import View
from daah.ui.state.session import ATTENTION_OFF, ATTENTION_ON, ATTENTION_PAINTED

NO_FACE = "No face found. Try a larger, front-facing face."

#: Share of flipped bits at the bright end of the map of what the code depends on.
FLIPS_SHOWN = 0.25

WAITING = "Add a photo, or choose an example."


def sentence(view: View) -> str:
    """The one sentence that says what came out, for eyes and for screen readers."""
    faces = view.faces
    if not faces:
        return NO_FACE
    index, options = view.session.face, view.options
    matches = view.matches[index]
    parts = [found_words(len(faces), view.session.left_out)]
    if not matches:
        parts.append("The gallery is empty, so there is nobody to compare with.")
    elif matches[0].same_person:
        parts.append(
            f"Face {index + 1}: best match {matches[0].distance} of {options.bits} bits differ, "
            f"{_verdict(matches[0])}."
        )
    else:
        parts.append(
            f"Face {index + 1}: nobody in the gallery is within {options.threshold} bits. "
            "The nearest are shown for reference."
            if len(faces) > 1
            else f"Nobody in the gallery is within {options.threshold} bits. "
            "The nearest are shown for reference."
        )
    width = faces[index].face.width
    if width < actions.SMALL_FACE:
        parts.append(f"This face is only {width:.0f} pixels wide, so it may be unreliable.")
    if options.attention == ATTENTION_OFF:
        parts.append("Attention is off.")
    if options.attention == ATTENTION_PAINTED and index in view.session.painted:
        parts.append("The model looks only where you painted.")
    return " ".join(parts)


def found_words(count: int, left_out: int) -> str:
    """How many faces a photo has; of very many only the largest are searched."""
    if left_out:
        return f"{count + left_out} faces or more found; the {count} largest are searched."
    return f"{plural(count, 'face')} found."


def _verdict(match: Match) -> str:
    """What a match within the limit is worth; without a calibration the limit is only a choice."""
    if match.probability is None:
        return "within the limit that is set, which this checkpoint is not calibrated for"
    return verdict_words(bool(match.same_person), match.probability)


def verdict(view: View) -> str:
    """`sentence` with the tone that goes with it."""
    if not view.faces:
        return say(sentence(view), "bad")
    matches = view.matches[view.session.face]
    return say(sentence(view), "good" if matches and matches[0].same_person else "far")


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
        chosen = " chosen" if i == view.session.face else ""
        drawn.append(f'<span class="box{chosen}" style="{place}"><b>{i + 1}</b></span>')
    whose = "An example photo" if view.session.example else "Your photo"
    alt = f"{whose} with {plural(len(faces), 'numbered face')}"
    words = []
    if view.session.example:
        words.append("This is a finished example. Add a photo to get your own result.")
    if len(faces) > 1:
        words.append("Tap a face to choose it.")
    hint = f'<figcaption class="hint">{" ".join(words)}</figcaption>' if words else ""
    return (
        f'<figure class="photo" data-point="face"><div class="stage" '
        f'style="aspect-ratio:{width}/{height};--w:{width}px;--ratio:{width / height:.4f}">'
        f'<img alt="{alt}" src="{data_uri(photo)}" draggable="false">'
        f'<div class="layer" aria-hidden="true">{"".join(drawn)}</div></div>{hint}</figure>'
    )


def chips(view: View) -> str:
    """A strip with one button for every face."""
    made = []
    for i, (encoded, matches) in enumerate(zip(view.faces, view.matches, strict=True)):
        best = matches[0] if matches else None
        if best is None:
            line = "no match"
        elif best.same_person:
            line = f"{best.name} · {plural(best.distance, 'bit')}"
        else:
            line = "nobody near enough"
        made.append(
            f'<button type="button" class="chip" data-do="face" data-index="{i}" '
            f'aria-pressed="{str(i == view.session.face).lower()}">'
            f'<img alt="" src="{data_uri(encoded.face.aligned)}">'
            f"<span><b>Face {i + 1}</b><small>{escape(line)}</small></span></button>"
        )
    return f'<div class="chips" role="group" aria-label="Faces in the photo">{"".join(made)}</div>'


def heatmap(view: View) -> str:
    """Where the model looks, what it is given behind the mask, and what the code depends on."""
    encoded, options = view.chosen, view.options
    photo, faces = actions.shown_photo(view.session, view.faces)
    shown = explain.overlay_photo(photo, faces, options.strength)
    height, width = photo.shape[:2]
    number = view.session.face + 1
    return (
        f"{heading('What the model looks at', 'h-look')}"
        '<div class="look"><figure>'
        f'<div class="stage" style="aspect-ratio:{width}/{height};--ratio:{width / height:.4f}">'
        f'<img alt="Heatmap of attention drawn on the photo" src="{data_uri(shown)}"></div>'
        "<figcaption>On the photo</figcaption></figure><figure>"
        f"{slider(encoded.face.aligned, encoded.mask, options.strength, f'face {number}')}"
        f"<figcaption>Face {number}, aligned. Drag between face and heatmap."
        "</figcaption></figure></div>"
        f"{colour_key('hidden', 'seen')}"
        f'<p class="hint">{_attention_words(view)}</p>'
        f'<div class="look even"><figure>{_seen(view)}</figure>'
        f"<figure>{_depends(view)}</figure></div>"
    )


def _seen(view: View) -> str:
    return (
        f'<img alt="Face {view.session.face + 1} as the network is given it" '
        f'src="{data_uri(view.chosen.seen, 92)}"><figcaption>What the network is given: '
        "where the mask is closed on the face, an average face takes its place.</figcaption>"
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
        "The network computes this mask: how much of each part of the picture is the face, on a "
        "scale that is the same for every photo. What is bright is read as it is; what is dark and "
        "in front of the face is replaced. It shows where the model looks, not why it decides."
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
        f'<p class="hint">These {bits // 8} bytes are all that is compared: the fewer bits differ, '
        "the more alike two faces are. Choose a bit to see which part of the face decides it.</p>"
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


def matches(view: View) -> str:
    """The nearest of the gallery as cards, with the threshold drawn between them."""
    found = view.matches[view.session.face]
    near = [m for m in found if m.same_person]
    far = [m for m in found if not m.same_person]
    limit = plural(view.options.threshold, "different bit")
    searched = f'<p class="hint">{plural(view.gallery, "code")} searched.'
    if found:
        searched += (
            " Choose one to see which bits differ and where the model looked. "
            f"The mark on a bar is the limit: {limit}."
        )
    searched += "</p>"
    out = [heading("Closest in the gallery", "h-matches"), searched]
    calibrated = all(m.probability is not None for m in found)
    within = "Likely the same person" if calibrated else "Within the limit"
    beyond = "Probably different people" if calibrated else "Over the limit"
    unsure = [m for m in far if undecided(m.probability)]
    far = far[len(unsure) :]  # nearest first, and less likely with every bit
    if near:
        out.append(f'<h3 class="line good">{within}: up to {limit}</h3>')
        out.append(_cards(view, near, ""))
    if unsure:
        out.append(f'<h3 class="line far">Over the limit, undecided: over {limit}</h3>')
        out.append(_cards(view, unsure, " dim"))
    if far:
        over = "" if unsure else f": over {limit}"
        out.append(f'<h3 class="line far">{beyond}{over}</h3>')
        out.append(_cards(view, far, " dim"))
    return "".join(out)


def _cards(view: View, found: list[Match], extra: str) -> str:
    cards = []
    for m in found:
        pressed = str(m.id == view.session.match).lower()
        own = " · yours" if m.id < 0 else ""
        cards.append(
            f'<li><button type="button" class="card{extra}" data-do="match" data-id="{m.id}" '
            f'aria-pressed="{pressed}">'
            f'<img alt="Gallery photo {escape(m.photo)}" src="{data_uri(view.thumbnails[m.id])}">'
            f"<span class=words><b>{escape(m.name)}{own}</b>"
            f"<span>{m.distance} of {m.bits} bits</span>{track(m, view.options.threshold)}"
            f"<small>{_probability(m)}</small></span></button></li>"
        )
    return f'<ol class="cards">{"".join(cards)}</ol>'


def track(match: Match, threshold: int) -> str:
    """A bar of the distance with a tick at the threshold. The numbers stand beside it."""
    top = match.bits / 2  # two unrelated faces differ in about half of the bits
    return (
        f'<span class="track" aria-hidden="true" '
        f'style="--d:{min(100, 100 * match.distance / top):.1f}%;'
        f'--t:{min(100, 100 * (threshold + 0.5) / top):.1f}%"></span>'
    )


def _probability(match: Match) -> str:
    if match.probability is None:
        return "probability not calibrated"
    return f"{percent(match.probability)} same person"


def detail(view: View) -> str:
    """The chosen match beside the face: pictures, heatmaps, the verdict in words."""
    chosen, strength = view.detail, view.options.strength
    if chosen is None:
        return ""
    m = chosen.match
    number = view.session.face + 1
    return (
        f"{heading(f'Face {number} and {m.name}', 'h-match')}"
        f'<p class="hint">{escape(_pair_words(m, view.options.threshold))}</p>'
        '<div class="pair"><figure>'
        f"{slider(view.chosen.face.aligned, view.chosen.mask, strength, f'face {number}')}"
        f"<figcaption>Face {number}</figcaption></figure><figure>"
        f"{slider(chosen.encoded.face.aligned, chosen.encoded.mask, strength, m.photo)}"
        f"<figcaption>{escape(m.name)}, photo {escape(m.photo)}</figcaption></figure></div>"
        f"{two_codes(view.chosen.code.bits[: m.bits], chosen.encoded.code.bits[: m.bits])}"
        '<button type="button" class="main" data-do="again">Search with this face</button>'
    )


def _pair_words(m: Match, threshold: int) -> str:
    same = "Within" if m.same_person else "Over"
    chance = (
        ""
        if m.probability is None
        else f" If both answers were equally likely beforehand, the chance that this is one "
        f"person is {percent(m.probability)}."
    )
    verdict = "" if m.probability is None else f": {_verdict(m)}"
    return (
        f"{m.distance} of {m.bits} bits differ, {m.bits - m.distance} agree. "
        f"{same} the limit of {threshold}{verdict}.{chance}"
    )


def download(view: View) -> str:
    """A link that saves the result as JSON, and the time each step took."""
    text = json.dumps(result_json.document(view), indent=1).encode()
    uri = "data:application/json;base64," + base64.b64encode(text).decode("ascii")
    steps = ", ".join(f"{step} {1000 * s:.0f} ms" for step, s in view.session.seconds.items())
    took = f'<span class="hint">{escape(steps)}</span>' if steps else ""
    return (
        f'<div class="save"><a class="small" download="face-hash-search.json" href="{uri}">'
        f"Download the result as JSON</a>{took}</div>"
    )
