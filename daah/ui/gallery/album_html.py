"""Faces without names, and the photos of a person, as HTML with forms."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from daah.gallery import Entry, people
from daah.stores.base import Person
from daah.ui.gallery.album import Album, Card
from daah.ui.gallery.html import Thumbnail
from daah.ui.page.html import data_uri, heading, plural, square

#: Pixels of a side of a face on a card, and of one to tick.
_SMALL, _LARGE = 104, 144


def album(
    shown: Album, thumbnail: Thumbnail, question: str = "", at: str = "", unhidden: bool = False
) -> str:
    """People without a name as cards, with who may be the same person above them.

    question: drawn on the card of the person `at`. unhidden: whether hidden people are shown.
    """
    if not (shown.clusters or shown.hidden or shown.pairs):
        return ""
    parts = []
    if shown.pairs:
        rows = "".join(_pair(a, b, thumbnail) for a, b in shown.pairs)
        parts.append(f'<h3>The same person?</h3><ul class="clusters">{rows}</ul>')
    if shown.total:
        title = f"{plural(shown.total, 'person', 'people')} without a name"
        cards = "".join(_cluster(c, thumbnail, question, at) for c in shown.clusters)
        more = shown.total - len(shown.clusters)
        parts.append(
            f"{heading(title, 'h-unnamed')}"
            '<p class="hint">Each card holds photos that are probably of one person. Give a name '
            "that is here already to make one person of two.</p>"
            f'<ul class="clusters">{cards}</ul>'
            + (
                f'<p class="hint">{more:,} more follow as you name or hide these.</p>'
                if more
                else ""
            )
        )
    if shown.hidden:
        count = plural(len(shown.hidden), "person is", "people are")
        do, word = ("fold", "Fold them away") if unhidden else ("unfold", "Show them")
        parts.append(
            f'<p class="hint">{count} hidden. '
            f'<button type="button" class="small" data-do="{do}">{word}</button></p>'
        )
        if unhidden:
            rows = "".join(_hidden(c, thumbnail) for c in shown.hidden)
            parts.append(f'<ul class="clusters">{rows}</ul>')
    return "".join(parts)


def _cluster(card: Card, thumbnail: Thumbnail, question: str, at: str) -> str:
    who = card.person
    name = escape(who.shown)
    return (
        f"<li data-form><b>{name}</b> <small>{plural(who.photos, 'photo')}</small>"
        f"{_faces(card, thumbnail)}"
        f'<div class="naming">{_field(f"Name of {who.shown}", "Who is this?")}'
        f"{_button('name', 'Save name', who.shown, person=who.person)}"
        f"{_button('photos', 'Photos', who.shown, person=who.person)}"
        f"{_button('hide', 'Hide', who.shown, person=who.person)}</div>"
        f"{question if at == who.person else ''}</li>"
    )


def _hidden(card: Card, thumbnail: Thumbnail) -> str:
    who = card.person
    return (
        f"<li><b>{escape(who.shown)}</b> <small>{plural(who.photos, 'photo')}</small>"
        f"{_faces(card, thumbnail)}"
        f"{_button('show', 'Show again', who.shown, person=who.person)}</li>"
    )


def _pair(a: Card, b: Card, thumbnail: Thumbnail) -> str:
    both = f"{a.person.shown} and {b.person.shown}"
    more = {"person": a.person.person, "other": b.person.person}
    return (
        f'<li class="likely"><b>{escape(both)}</b>{_faces(a, thumbnail)}{_faces(b, thumbnail)}'
        f'<div class="naming">{_button("merge", "Same person", both, **more)}'
        f"{_button('different', 'Different people', both, **more)}</div></li>"
    )


def editor(who: Person, photos: Sequence[Entry], thumbnail: Thumbnail, question: str = "") -> str:
    """A person to rename, part, hide or remove, with photos to tick."""
    name = escape(who.shown)
    ticks = "".join(
        f'<li><label class="tick"><input type="checkbox" value="{e.id}" '
        f'aria-label="Photo {escape(e.photo)}"><img alt="" '
        f'src="{data_uri(square(thumbnail(e.id), _LARGE))}"></label></li>'
        for e in photos
    )
    count = plural(who.photos, "photo")
    if who.photos > len(photos):
        count += f", of which {len(photos)} are shown"
    hiding = (
        _button("hide", "Hide", who.shown, person=who.person)
        if people.is_unnamed(who.person) and not people.is_hidden(who.person)
        else ""
    )
    return (
        f'<section class="editor" aria-label="Change {name}"><h3>Change {name}</h3>'
        f'<div class="naming" data-form>{_field(f"New name of {who.shown}", "Another name")}'
        f"{_button('rename', 'Save name', who.shown, person=who.person)}{hiding}"
        f"{_button('ask', 'Remove person', who.shown, person=who.person)}</div>{question}"
        f'<div data-form><p class="hint">{count}. Tick those that show somebody else, or that are '
        f'to be removed.</p><ol class="cards small">{ticks}</ol><div class="naming">'
        f"{_field('Who is on the ticked photos', 'Their name; empty if you do not know')}"
        f"{_button('move', 'Move ticked photos', who.shown, person=who.person)}"
        f"{_button('drop', 'Remove ticked photos', who.shown, person=who.person)}</div></div>"
        "</section>"
    )


def ask_merge(who: Person, other: Person) -> str:
    """Whether two people are one, where the second has the name that the first was to get."""
    return _question(
        f"{other.shown} is in the gallery already, with {plural(other.photos, 'photo')}. "
        f"Is {who.shown} the same person?",
        _button("merge", "Yes, one person", "", True, person=other.person, other=who.person),
        _button("keep", "No, choose another name", "", person=who.person),
    )


def ask_remove(who: Person) -> str:
    """Whether somebody is to be removed."""
    return _question(
        f"Remove {who.shown}, with {plural(who.photos, 'photo')}? It can be undone for an hour, "
        "unless they are deleted for good.",
        _button("keep", "Keep", who.shown, True, person=who.person),
        _button("remove", "Remove", who.shown, person=who.person),
        _button("remove-now", "Delete for good", who.shown, person=who.person),
    )


def undo(removal: str | None) -> str:
    """What was removed and can be brought back."""
    if removal is None:
        return ""
    return (
        '<p class="hint">What was removed is kept in the gallery for an hour. '
        f"{_button('undo', 'Undo the last removal', '', removal=removal)} "
        f"{_button('final', 'Delete for good', 'what was removed')}</p>"
    )


def _question(text: str, *buttons: str) -> str:
    return (
        f'<div class="question" role="group" aria-label="Question"><p>{escape(text)}</p>'
        f'<div class="naming">{"".join(buttons)}</div></div>'
    )


def _faces(card: Card, thumbnail: Thumbnail) -> str:
    pictures = "".join(
        f'<img alt="" src="{data_uri(square(thumbnail(id), _SMALL))}">' for id in card.faces
    )
    return f'<div class="faces">{pictures}</div>'


def _field(label: str, hint: str) -> str:
    return (
        f'<label><span class="hidden">{escape(label)}</span><input type="text" maxlength="200" '
        f'placeholder="{escape(hint)}" autocomplete="off"></label>'
    )


def _button(do: str, text: str, of: str, first: bool = False, **more: str) -> str:
    """A button; of: whom it concerns, for screen readers. first: it gets the focus."""
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in more.items())
    focus = " data-focus" if first else ""
    whom = f'<span class="hidden"> {escape(of)}</span>' if of else ""
    return (
        f'<button type="button" class="small" data-do="{do}"{data}{focus}>{escape(text)}{whom}'
        "</button>"
    )
