"""The Gallery tab as HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from daah.gallery import ClusterReport, Entry, Gallery, SessionGallery
from daah.ui.gallery.actions import Map, Person
from daah.ui.page.html import data_uri, heading, plural

Thumbnail = Callable[[int], np.ndarray]

#: Length of a side of the map's own coordinates.
SIDE = 1000
MARGIN = 30


def summary(gallery: Gallery, additions: SessionGallery, public: bool, note: str = "") -> str:
    """What is in the gallery, where it comes from, and what may be done with it; then the note."""
    known = gallery.provenance
    people, photos = gallery.store.count_people(), gallery.count()
    title = f"{plural(photos, 'photo')} of {plural(people, 'person', 'people')}"
    source = f"Source: {known.credit}. " if known.credit else ""
    mine = (
        f" You have added {plural(len(additions), 'face')} for this visit."
        if len(additions)
        else ""
    )
    rules = (
        "It is read-only here: your photos are never added to it. What you add below lives in "
        "this visit only."
        if public
        else "This is a local run: you may add and remove people."
    )
    return (
        f"{heading(title, 'h-gallery')}"
        f'<p class="hint">Gallery {escape(gallery.name)}, {known.bits}-bit codes of model '
        f"{escape(known.model)}. {escape(source)}{rules}{mine}</p>"
        f'<p class="hint" id="gallery-key">{_key_words(gallery)}</p>'
        + (f'<p class="hint">{escape(note)}</p>' if note else "")
    )


def _key_words(gallery: Gallery) -> str:
    """Whether the codes are those of a key, and what that means."""
    if gallery.key is None:
        return (
            "No key: the same face has the same code in every gallery of this model that has none."
        )
    return (
        "Protected by a key: codes of this gallery cannot be compared with those of any other. "
        "The faces themselves are kept as pictures."
    )


def _stranger_words(drawn: Map) -> str:
    return "" if drawn.nearest is None else "; this face is no match of the photo nearest to it"


def map_picture(drawn: Map, chosen: Entry | None) -> str:
    """The map: a point for each photo, those of the chosen one's person and the query marked."""
    if not len(drawn.ids):
        return '<p class="hint">The gallery is empty, so there is no map yet.</p>'
    points = []
    for (x, y), person in zip(_place(drawn.xy), drawn.people, strict=True):
        mark = ' class="chosen"' if chosen and person == chosen.person else ""
        points.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8"{mark}/>')
    query = stranger = ""
    if drawn.query is not None:
        x, y = _place(drawn.query[None])[0]
        if drawn.nearest is not None:
            to_x, to_y = _place(drawn.nearest[None])[0]
            stranger = " stranger"
            query = f'<path class="resembles" d="M{x:.0f} {y:.0f} L{to_x:.0f} {to_y:.0f}"/>'
        query += (
            f'<g class="query{stranger}" transform="translate({x:.0f} {y:.0f})">'
            '<path d="M0-22 L22 0 L0 22 L-22 0Z"/><text x="30" y="10">this face</text></g>'
        )
    legend = (
        '<span class="dot"></span>a photo'
        + (f' <span class="dot chosen"></span>{escape(chosen.name)}' if chosen else "")
        + (' <span class="dot query"></span>this face, as searched for' if query else "")
        + (", no match: the dashed line leads to the nearest photo" if stranger else "")
    )
    return (
        '<figure data-point="map"><div class="stage map" style="aspect-ratio:1;--ratio:1">'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="Map of {len(drawn.ids)} photos; '
        f'faces with few different bits are close together{_stranger_words(drawn)}">'
        f"<g>{''.join(sorted(points, key=lambda p: 'chosen' in p))}</g>{query}</svg></div>"
        f'<div class="legend" aria-hidden="true">{legend}</div>'
        '<figcaption class="hint">Faces with few different bits are close together; directions '
        "mean nothing. Tap the map to open the nearest photo. The list of people has the same "
        "photos for the keyboard.</figcaption></figure>"
    )


def unplace(x: float, y: float) -> tuple[float, float]:
    """A point of the picture, in shares of it, in shares of the map without its margin."""
    inner = SIDE - 2 * MARGIN
    return (x * SIDE - MARGIN) / inner, (y * SIDE - MARGIN) / inner


def _place(xy: np.ndarray) -> np.ndarray:
    flipped = np.stack([xy[:, 0], 1 - xy[:, 1]], 1)
    return MARGIN + flipped * (SIDE - 2 * MARGIN)


def people(found: Sequence[Person], total: int, thumbnail: Thumbnail, text: str) -> str:
    """People as a grid of buttons."""
    if not found:
        return (
            f'<p class="hint">Nobody named “{escape(text)}” is here.</p>'
            if text.strip()
            else '<p class="hint">Nobody is here yet.</p>'
        )
    cards = [
        f'<li><button type="button" class="card who" data-do="entry" data-id="{p.first}">'
        f'<img alt="" src="{data_uri(thumbnail(p.first))}"><span class="words">'
        f"<b>{escape(p.name)}</b><small>{plural(p.photos, 'photo')}{' · yours' if p.own else ''}"
        "</small></span></button></li>"
        for p in found
    ]
    more = (
        f'<p class="hint">{total - len(found):,} more; search by name to see them.</p>'
        if total > len(found)
        else ""
    )
    return f'<ol class="cards small">{"".join(cards)}</ol>{more}'


def entry(photos: Sequence[Entry], thumbnail: Thumbnail) -> str:
    """One photo opened, with others of the same person."""
    if not photos:
        return ""
    one, *rest = photos
    others = "".join(
        f'<li><button type="button" class="card who" data-do="entry" data-id="{e.id}">'
        f'<img alt="Photo {escape(e.photo)}" src="{data_uri(thumbnail(e.id))}"></button></li>'
        for e in rest
    )
    return (
        '<div class="opened">'
        f'<img alt="Aligned face of {escape(one.name)}, photo {escape(one.photo)}" '
        f'src="{data_uri(thumbnail(one.id), 92)}"><div>{heading(one.name, "h-entry")}'
        f'<p class="hint">Photo {escape(one.photo)}, as the model receives it.</p>'
        f'<button type="button" class="main" data-do="search" data-id="{one.id}">'
        "Search with this face</button></div></div>"
        + (
            f'<h3>Other photos of {escape(one.name)}</h3><ol class="cards small">{others}</ol>'
            if rest
            else ""
        )
    )


def added_people(additions: SessionGallery) -> str:
    """The visitor's own people, each with a button that removes them."""
    rows = "".join(
        f"<li><span>{escape(name)} <small>{plural(count, 'photo')}</small></span>"
        f'<button type="button" class="small" data-do="remove" data-name="{escape(name)}">'
        f'Remove<span class="hidden"> {escape(name)}</span></button></li>'
        for name, count in additions.people().items()
    )
    return f'<ul class="rows">{rows}</ul>' if rows else ""


def outcome(
    added: int,
    skipped: Sequence[tuple[str, str]],
    present: int = 0,
    warnings: Sequence[str] = (),
    taken: Sequence[str] = (),
) -> str:
    """What an import did, what it skipped and why, and what to know of photos that it added.

    warnings: which faces are hard to tell from others. taken: which of several faces was taken.
    """
    first = f"{plural(added, 'photo')} added."
    if present:
        first += f" {plural(present, 'photo')} had been there before."
    if skipped:
        first += f" {plural(len(skipped), 'photo was', 'photos were')} skipped:"
    tone = "" if skipped else " good"
    return (
        f'<p class="say{tone}">{first}</p>'
        + _list([f"{name}: {why}" for name, why in skipped])
        + _remark(
            "Added, but hard to tell from others; better photos would be found more often:",
            warnings,
        )
        + _remark("Added, but several people are on the photo:", taken)
    )


def _remark(text: str, rows: Sequence[str]) -> str:
    return f'<p class="say">{text}</p>{_list(rows)}' if rows else ""


def _list(rows: Sequence[str]) -> str:
    if not rows:
        return ""
    shown = "".join(f"<li>{escape(row)}</li>" for row in rows[:20])
    more = f"<li>and {len(rows) - 20:,} more</li>" if len(rows) > 20 else ""
    return f'<ul class="skipped">{shown}{more}</ul>'


def clustered(found: ClusterReport) -> str:
    """What clustering found, after an import."""
    if not found.faces:
        return ""
    words = f"{plural(found.people, 'person', 'people')} without a name found"
    if found.joined:
        words += f"; {plural(found.joined, 'photo')} joined people who were there"
    return f'<p class="say">{words}. Give them names below.</p>'
