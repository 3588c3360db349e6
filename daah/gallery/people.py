"""Who is on the photos: people without a name yet, and naming, merging, splitting, hiding.

Clustering enrols faces without names as people whose identifiers are "unnamed-1", "unnamed-2" and
so on, shown as "Person 1", "Person 2"; until then each face is "unsorted-" and its id. Hidden ones
are "hidden-1": `unnamed` and suggestions leave them out, and searches still find them. Every
change rewrites rows and nothing else: entries keep their ids, codes and faces, and the store
recomputes the templates of the people concerned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from daah.errors import ConfigError, GalleryError
from daah.gallery.gallery import Gallery
from daah.gallery.names import checked_name, plain
from daah.stores.base import Person
from daah.stores.people import template

_UNNAMED = re.compile(r"(unnamed|hidden|unsorted)-[0-9]+")


@dataclass(frozen=True)
class Suggestion:
    """Two people who may be the same.

    Attributes:
        a: the one with more photos, or with a name.
        b: the other.
        distance: Hamming distance of their templates in bits.
    """

    a: Person
    b: Person
    distance: int


def is_unnamed(person: str) -> bool:
    """Whether an identifier is that of a person without a name yet, hidden or not.

    Args:
        person: the identifier.

    Returns:
        Whether it is.
    """
    return _UNNAMED.fullmatch(person) is not None


def is_hidden(person: str) -> bool:
    """Whether an identifier is that of a hidden person.

    Args:
        person: the identifier.

    Returns:
        Whether it is.
    """
    return is_unnamed(person) and person.startswith("hidden-")


def is_unsorted(person: str) -> bool:
    """Whether an identifier is that of a face which no clustering has looked at yet.

    Args:
        person: the identifier.

    Returns:
        Whether it is.
    """
    return is_unnamed(person) and person.startswith("unsorted-")


def unsorted_person(id: int) -> str:
    """The identifier of the person of a face until it is clustered.

    Args:
        id: id of the entry.

    Returns:
        The identifier.
    """
    return f"unsorted-{id}"


def unnamed(gallery: Gallery, hidden: bool = False) -> list[Person]:
    """People without a name, those with the most photos first.

    Args:
        gallery: the gallery.
        hidden: whether the hidden ones are meant, instead of the others.

    Returns:
        The people.
    """
    found = [p for p in gallery.store.people() if is_unnamed(p.person)]
    found = [p for p in found if is_hidden(p.person) == hidden]
    return sorted(found, key=lambda p: (-p.photos, _number(p.person)))


def new_unnamed(gallery: Gallery, count: int = 1) -> list[tuple[str, str]]:
    """Identifiers and display names for people without a name, with numbers that are not in use.

    Args:
        gallery: the gallery.
        count: number of people.

    Returns:
        (identifier, display name) of each.
    """
    used = [
        _number(p.person)
        for p in gallery.store.people()
        if is_unnamed(p.person) and not is_unsorted(p.person)
    ]
    first = max(used, default=0) + 1
    return [(f"unnamed-{n}", f"Person {n}") for n in range(first, first + count)]


def find(gallery: Gallery, text: str) -> Person:
    """The person of an identifier or of a shown name.

    Args:
        gallery: the gallery.
        text: the identifier, or the whole shown name; case and accents are ignored.

    Returns:
        The person.

    Raises:
        GalleryError: there is nobody, or several people are shown by this name.
    """
    wanted = text.strip()
    people = gallery.store.people()
    exact = [person for person in people if person.person == wanted]
    found = exact or [person for person in people if plain(person.shown) == plain(wanted)]
    if not found:
        raise GalleryError(f"Nobody named {wanted!r} is in the gallery {gallery.name}.")
    if len(found) > 1:
        raise GalleryError(
            f"{len(found)} people of the gallery {gallery.name} are shown as {wanted!r}. Give an "
            f"identifier: {', '.join(repr(person.person) for person in found[:10])}."
        )
    return found[0]


def rename(gallery: Gallery, person: str, name: str) -> str:
    """Give somebody a name, or another one.

    Whoever is shown by a display name that was given with an identifier keeps the identifier.

    Args:
        gallery: the gallery, open for writing.
        person: as of `find`.
        name: the name.

    Returns:
        The identifier, which is the name unless there is a display name.

    Raises:
        ConfigError: the name is invalid, or is kept for people without a name.
        GalleryError: there is nobody, somebody else has the name, or the gallery cannot be written.
    """
    gallery.require_writable()
    who = find(gallery, person)
    name = _new_name(name)
    taken = [p for p in gallery.store.people() if name in (p.person, p.name)]
    if any(p.person != who.person for p in taken):
        raise GalleryError(
            f"Somebody else in the gallery {gallery.name} is named {name!r} already. If they are "
            "the same person, merge them; otherwise choose another name."
        )
    if who.name and not is_unnamed(who.person):
        gallery.assign(_ids(gallery, [who]), who.person, name)
        return who.person
    if name != who.person:
        gallery.assign(_ids(gallery, [who]), name)
    return name


def merge(gallery: Gallery, into: str, others: Sequence[str]) -> int:
    """Say that several people are one.

    Args:
        gallery: the gallery, open for writing.
        into: as of `find`, who keeps identifier and name.
        others: as of `find`, whose photos move.

    Returns:
        Number of photos that moved.

    Raises:
        GalleryError: somebody is missing or given twice, or the gallery cannot be written.
    """
    gallery.require_writable()
    target = find(gallery, into)
    sources = [find(gallery, other) for other in others]
    if len({p.person for p in [target, *sources]}) <= len(sources):
        raise GalleryError("Somebody is named twice; name different people to merge.")
    return gallery.assign(_ids(gallery, sources), target.person)


def split(gallery: Gallery, ids: Iterable[int], name: str = "") -> str:
    """Make another person of some photos.

    Args:
        gallery: the gallery, open for writing.
        ids: ids of the photos.
        name: the new person's name; "" for one without a name.

    Returns:
        Identifier of the new person.

    Raises:
        ConfigError: the name is invalid.
        GalleryError: there are no such photos, they are all that somebody has, the name is taken,
            or the gallery cannot be written.
    """
    gallery.require_writable()
    chosen = sorted(set(ids))
    if not chosen:
        raise GalleryError("Choose the photos that show somebody else.")
    own = [entry.person for entry in map(gallery.entry, chosen)]
    counts = gallery.people()
    if len(set(own)) == 1 and counts[own[0]] == len(chosen):
        raise GalleryError("These are all photos of this person; leave out those that stay.")
    if name.strip():
        person, shown = _new_name(name), ""
        if any(person in (p.person, p.name) for p in gallery.store.people()):
            raise GalleryError(
                f"Somebody in the gallery {gallery.name} is named {person!r} already; move the "
                "photos to them instead."
            )
    else:
        ((person, shown),) = new_unnamed(gallery)
    gallery.assign(chosen, person, shown)
    return person


def move(gallery: Gallery, ids: Iterable[int], to: str) -> str:
    """Move photos to somebody who is in the gallery, or to a new person of that name.

    Args:
        gallery: the gallery, open for writing.
        ids: ids of the photos.
        to: as of `find`, or a new name.

    Returns:
        Identifier of the person.

    Raises:
        ConfigError: the name is invalid.
        GalleryError: there are no such photos, several people have the name, or the gallery cannot
            be written.
    """
    gallery.require_writable()
    wanted = checked_name("person", to)
    there = any(
        wanted == p.person or plain(wanted) == plain(p.shown) for p in gallery.store.people()
    )
    person = find(gallery, wanted).person if there else _new_name(wanted)
    if not gallery.assign(ids, person):
        raise GalleryError("Choose the photos to move.")
    return person


def hide(gallery: Gallery, person: str, hidden: bool = True) -> str:
    """Leave a person without a name out of lists and suggestions, or show them again.

    Args:
        gallery: the gallery, open for writing.
        person: as of `find`.
        hidden: False shows the person again.

    Returns:
        The identifier, which changed.

    Raises:
        GalleryError: there is nobody, the person has a name, or the gallery cannot be written.
    """
    gallery.require_writable()
    who = find(gallery, person)
    if not is_unnamed(who.person) or is_unsorted(who.person):
        raise GalleryError(f"{who.shown} is no cluster without a name; only those can be hidden.")
    now = f"{'hidden' if hidden else 'unnamed'}-{_number(who.person)}"
    if now != who.person:
        gallery.assign(_ids(gallery, [who]), now, who.shown)
    return now


def suggestions(
    gallery: Gallery, radius: int, bits: int | None = None, most: int = 20
) -> list[Suggestion]:
    """Pairs of people who may be the same, at least one of them without a name.

    Each unnamed person's photos search the people; the nearest other person within the radius is
    suggested.

    Args:
        gallery: the gallery.
        radius: largest distance of the templates of a pair.
        bits: length of the prefix that is compared; None compares all bits.
        most: maximum number of pairs.

    Returns:
        The pairs, nearest first. Hidden people are in none.
    """
    people = {p.person: p for p in gallery.store.people() if not is_hidden(p.person)}
    open_ = [p for p in people.values() if is_unnamed(p.person)]
    found: dict[tuple[str, str], Suggestion] = {}
    for start in range(0, len(open_), 256):
        part = open_[start : start + 256]
        templates = _templates(gallery, [p.person for p in part])
        hits = gallery.store.search_people(templates, 4, bits)
        for person, row, metas in zip(part, hits.distances.tolist(), hits.meta, strict=True):
            for distance, meta in zip(row, metas, strict=False):
                other = people.get(meta.person)
                if other is None or other.person == person.person or distance > radius:
                    continue
                a, b = sorted([person, other], key=lambda p: (is_unnamed(p.person), -p.photos))
                found.setdefault(tuple(sorted((a.person, b.person))), Suggestion(a, b, distance))
    return sorted(found.values(), key=lambda s: (s.distance, s.a.person, s.b.person))[:most]


def _templates(gallery: Gallery, people: Sequence[str]) -> np.ndarray:
    """Templates (P, B) uint8 of people, in their order."""
    ids = [entry.id for person in people for entry in gallery.entries(person)]
    batch = gallery.rows(ids)
    assert batch.logits is not None
    own = np.array([meta.person for meta in batch.meta])
    return np.stack([template(batch.logits[own == person]) for person in people])


def _ids(gallery: Gallery, people: Sequence[Person]) -> list[int]:
    return [entry.id for p in people for entry in gallery.entries(p.person)]


def _new_name(name: str) -> str:
    name = checked_name("person", name)
    if is_unnamed(name):
        raise ConfigError(f"Names like {name!r} are kept for people without a name.")
    return name


def _number(person: str) -> int:
    return int(person.rsplit("-", 1)[-1])
