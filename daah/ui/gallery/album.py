"""Who is who in a local gallery: plain typed functions, no Gradio in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from daah.errors import ConfigError, GalleryError
from daah.gallery import (
    ClusterReport,
    Entry,
    Gallery,
    cluster,
    clusters,
    enrol,
    loose_photos,
    people,
)
from daah.gallery.names import plain
from daah.retrieval.retriever import Progress
from daah.stores.base import Person
from daah.ui.gallery.actions import MOST_PHOTOS, Warn, enrolled, unheard
from daah.ui.state.context import AppContext

#: Clusters that are shown; naming one makes room for the next.
MOST_CLUSTERS = 24

#: Photos of a cluster that are shown on its card.
MOST_FACES = 5

#: Pairs that are shown as "the same person?".
MOST_PAIRS = 6

#: Two people who were said to be different: their identifiers, in order.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Card:
    """Somebody on the page.

    Attributes:
        person: the person.
        faces: ids of some photos.
    """

    person: Person
    faces: tuple[int, ...]


@dataclass(frozen=True)
class Album:
    """What is to be said of faces without names.

    Attributes:
        clusters: people without a name, those with the most photos first.
        total: number of people without a name, shown or not.
        hidden: people who were hidden.
        pairs: two people who may be one, nearest first; the one who keeps the name first.
    """

    clusters: tuple[Card, ...]
    total: int
    hidden: tuple[Card, ...]
    pairs: tuple[tuple[Card, Card], ...]


def album(gallery: Gallery, different: Collection[Pair] = ()) -> Album:
    """The people without a name.

    Args:
        gallery: the gallery.
        different: pairs that are not proposed again.

    Returns:
        The people.
    """
    open_ = people.unnamed(gallery)
    radius = clusters.doubtful_radius(gallery.store.spec.bits)
    proposed = people.suggestions(gallery, radius, most=MOST_PAIRS + len(different))
    pairs = [(s.a, s.b) for s in proposed if pair_of(s.a.person, s.b.person) not in different]
    return Album(
        tuple(_card(gallery, person) for person in open_[:MOST_CLUSTERS]),
        len(open_),
        tuple(_card(gallery, p) for p in people.unnamed(gallery, hidden=True)[:MOST_CLUSTERS]),
        tuple((_card(gallery, a), _card(gallery, b)) for a, b in pairs[:MOST_PAIRS]),
    )


def pair_of(a: str, b: str) -> Pair:
    """Two people in the order in which pairs are kept."""
    return (a, b) if a < b else (b, a)


def photos(gallery: Gallery, person: str) -> tuple[Person, list[Entry]]:
    """A person by identifier, and some of their photos. Raises GalleryError."""
    who = people.find(gallery, person)
    return who, list(islice(gallery.entries(who.person), MOST_PHOTOS))


def namesake(gallery: Gallery, person: str, name: str) -> Person | None:
    """Somebody else who is shown by this name already."""
    wanted = plain(name)
    others = (p for p in gallery.store.people() if p.person != person)
    return next((p for p in others if wanted in (plain(p.person), plain(p.name))), None)


def give_name(context: AppContext, person: str, name: str) -> str:
    """Name or rename somebody.

    Args:
        context: of a local run.
        person: the identifier.
        name: the name.

    Returns:
        A sentence that says so.

    Raises:
        DaahError: there is nobody, or the name is missing, invalid or taken.
    """
    gallery = _writable(context)
    if not name.strip():
        raise ConfigError("Type a name first.")
    before = people.find(gallery, person).shown
    people.rename(gallery, person, name)
    return f"{before} is {name.strip()} from now on."


def merge(context: AppContext, into: str, other: str) -> str:
    """Make one person of two; says so. Raises GalleryError."""
    gallery = _writable(context)
    kept, gone = people.find(gallery, into), people.find(gallery, other)
    people.merge(gallery, kept.person, [gone.person])
    return f"{gone.shown} and {kept.shown} are one person now, {kept.shown}."


def hide(context: AppContext, person: str, hidden: bool) -> str:
    """Hide somebody without a name, or show them again; says so. Raises GalleryError."""
    gallery = _writable(context)
    who = people.find(gallery, person)
    people.hide(gallery, who.person, hidden)
    if hidden:
        return f"{who.shown} is hidden here; a search still finds them."
    return f"{who.shown} is shown again."


def move(context: AppContext, ids: Sequence[int], to: str) -> str:
    """Move photos to somebody, or without a name to somebody new; says so. Raises DaahError."""
    gallery = _writable(context)
    person = people.move(gallery, ids, to) if to.strip() else people.split(gallery, ids)
    many = "1 photo is" if len(set(ids)) == 1 else f"{len(set(ids)):,} photos are"
    return f"{many} of {people.find(gallery, person).shown} now."


def remove(
    context: AppContext, person: str = "", ids: Sequence[int] = (), for_good: bool = False
) -> str:
    """Remove a person or photos; says so.

    Args:
        context: of a local run.
        person: the identifier; "" for photos alone.
        ids: ids of photos.
        for_good: whether it cannot be undone.

    Returns:
        A sentence.

    Raises:
        GalleryError: there is nobody, or no photo was chosen.
    """
    gallery = _writable(context)
    who = people.find(gallery, person) if person else None
    whom = [who.person] if who else []
    count = gallery.remove_many(whom, ids) if for_good else gallery.discard(whom, ids)
    if not count:
        raise GalleryError("Choose the photos to remove.")
    many = "1 photo" if count == 1 else f"{count:,} photos"
    what = f"{who.shown} is removed, with {many}" if who else f"{many} removed"
    return f"{what}, for good." if for_good else f"{what}. This can be undone for an hour."


def undo(context: AppContext, removal: str) -> str:
    """Bring back a removal; says so. Raises GalleryError."""
    back = _writable(context).undo(removal or None)
    many = "1 photo is" if len(back) == 1 else f"{len(back):,} photos are"
    names = sorted({entry.name for entry in back})
    of = f" of {names[0]}" if len(names) == 1 else ""
    return f"{many} back{of}."


def empty_trash(context: AppContext) -> str:
    """Delete for good what was removed; says so. Raises GalleryError."""
    _writable(context).empty_trash()
    return "What was removed is deleted for good."


def import_loose(
    context: AppContext,
    folder: str,
    progress: Progress,
    warn: Warn = unheard,
    took: Warn = unheard,
) -> tuple[enrol.BulkReport, ClusterReport]:
    """Enrol a folder of photos without names and cluster them.

    Args:
        context: of a local run.
        folder: the folder.
        progress: of both.
        warn: called with photos whose face is hard to tell from others.
        took: called with photos of several faces.

    Returns:
        What was enrolled, and what was clustered.

    Raises:
        DaahError: there is no such folder or no photo, or the gallery cannot be written.
    """
    gallery = _writable(context)
    if not folder.strip():
        raise GalleryError("Name a folder of photos.")
    listed = loose_photos(gallery, Path(folder.strip()).expanduser())
    report = enrolled(context, listed, progress, warn, took)
    return report, cluster(gallery, progress=_told(progress))


def _told(progress: Progress) -> Callable[[int, int, str], None]:
    return lambda done, total, text: progress(done / max(total, 1), text)


def _writable(context: AppContext) -> Gallery:
    context.require_local()
    return context.retriever.gallery


def _card(gallery: Gallery, person: Person) -> Card:
    return Card(
        person, tuple(entry.id for entry in islice(gallery.entries(person.person), MOST_FACES))
    )
