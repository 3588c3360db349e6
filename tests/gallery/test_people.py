"""Naming, merging, splitting, moving and hiding people: entries stay, templates follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from daah.errors import ConfigError, GalleryError
from daah.gallery import Gallery, people
from daah.stores.people import person_id, template
from tests.doubles.encoder import ProjectionEncoder, encoded


@pytest.fixture
def album(filled: Gallery, fake_encoder: ProjectionEncoder) -> Gallery:
    """The four people, and two without a name, of two photos and of one."""
    filled.add_many(
        [
            (f"unnamed-{who}", f"{n}.jpg", encoded(fake_encoder, seed))
            for who, n, seed in ((1, 0, 80), (1, 1, 81), (2, 2, 90))
        ],
        ids=[500, 501, 502],
        names={"unnamed-1": "Person 1", "unnamed-2": "Person 2"},
    )
    return filled


@pytest.fixture(autouse=True)
def templates_are_right(album: Gallery):
    """After every test each template is that of the photos that are there, and nothing is lost."""
    before = {id_: code.tobytes() for rows in album.store.scan() for id_, code in _codes(rows)}
    yield
    if album.store._closed:
        return
    assert {
        id_: code.tobytes() for rows in album.store.scan() for id_, code in _codes(rows)
    } == before
    album.store.check()
    for person in album.people():
        rows = album.rows(entry.id for entry in album.entries(person))
        hits = album.store.search_people(template(rows.logits)[None], 6)
        known = {m.person: d for m, d in zip(hits.meta[0], hits.distances[0], strict=False)}
        assert known[person] == 0, person_id(person)


def _codes(rows):
    return zip(rows.ids.tolist(), rows.codes, strict=True)


def test_a_person_without_a_name_gets_one(album: Gallery) -> None:
    assert people.rename(album, "person 1", " Eve ") == "Eve"
    assert album.people()["Eve"] == 2
    assert album.entry(500).name == "Eve"
    assert "unnamed-1" not in album.people()
    assert [p.shown for p in people.unnamed(album)] == ["Person 2"]


def test_a_name_changes_and_an_identifier_with_a_display_name_stays(
    album: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    assert people.rename(album, "Ada", "Ada Lovelace") == "Ada Lovelace"
    album.add("b7", "b7/1.jpg", encoded(fake_encoder, 60), name="Bo")
    album.remove("b7")
    album.add_many(
        [("Björn", "new.jpg", encoded(fake_encoder, 10))], ids=[510], names={"Björn": "Bjorn Borg"}
    )
    assert people.rename(album, "bjorn borg", "B. Borg") == "Björn"
    assert {entry.name for entry in album.entries("Björn")} == {"B. Borg"}
    album.remove_many(ids=[510])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: people.rename(g, "Eve", "Ada"), "Nobody named 'Eve'"),
        (lambda g: people.rename(g, "Ada", "Björn"), "named 'Björn' already.*merge"),
        (lambda g: people.rename(g, "Person 1", "Person 2"), "named 'Person 2' already"),
        (lambda g: people.merge(g, "Ada", ["ada"]), "named twice"),
        (lambda g: people.merge(g, "Ada", ["Eve"]), "Nobody named 'Eve'"),
        (lambda g: people.split(g, []), "Choose the photos"),
        (lambda g: people.split(g, [500, 501]), "all photos of this person"),
        (lambda g: people.split(g, [500], "Ada"), "'Ada' already; move"),
        (lambda g: people.split(g, [4]), "no entry 4"),
        (lambda g: people.move(g, [], "Ada"), "Choose the photos"),
        (lambda g: people.move(g, [4], "Ada"), "not all of these entries"),
        (lambda g: people.hide(g, "Ada"), "Ada is no cluster without a name"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    album: Gallery, change: Callable[[Gallery], object], message: str
) -> None:
    before, generation = album.people(), album.store.generation
    with pytest.raises(GalleryError, match=message):
        change(album)
    assert (album.people(), album.store.generation) == (before, generation)


@pytest.mark.parametrize("name", ["", "a\nb", "unnamed-4", "hidden-1", "x" * 300])
def test_names_that_are_none_are_refused(album: Gallery, name: str) -> None:
    with pytest.raises(ConfigError):
        people.rename(album, "Ada", name)
    with pytest.raises(ConfigError):
        people.move(album, [500], name)


def test_people_are_merged(album: Gallery) -> None:
    assert people.merge(album, "Ada", ["Person 1", "unnamed-2"]) == 3
    assert album.people() == {"Ada": 6, "Björn": 3, "Chandra": 3, "Дарья": 3}
    assert {entry.name for entry in album.entries("Ada")} == {"Ada"}


def test_photos_are_split_off(album: Gallery) -> None:
    assert people.split(album, [501]) == "unnamed-3"
    assert album.entry(501).name == "Person 3"
    assert album.entry(500).name == "Person 1"
    ids = [entry.id for entry in album.entries("Ada")][:2]
    assert people.split(album, ids, "Grace") == "Grace"
    assert (album.people()["Ada"], album.people()["Grace"]) == (1, 2)


def test_photos_are_moved_to_somebody_known_or_new(album: Gallery) -> None:
    assert people.move(album, [500], "person 2") == "unnamed-2"
    assert album.entry(500).name == "Person 2"
    assert people.move(album, [501], "Zoe") == "Zoe"
    assert album.people()["unnamed-2"] == 2
    assert "unnamed-1" not in album.people()


def test_somebody_is_hidden_and_shown_again(album: Gallery) -> None:
    assert people.hide(album, "Person 1") == "hidden-1"
    assert [p.person for p in people.unnamed(album)] == ["unnamed-2"]
    assert [p.person for p in people.unnamed(album, hidden=True)] == ["hidden-1"]
    assert album.entry(500).name == "Person 1"
    assert people.new_unnamed(album) == [("unnamed-3", "Person 3")]
    assert people.hide(album, "Person 1", hidden=False) == "unnamed-1"
    assert people.hide(album, "Person 1", hidden=False) == "unnamed-1"


def test_names_shown_twice_are_asked_about(album: Gallery, fake_encoder: ProjectionEncoder) -> None:
    album.assign([500], "e1", "Eve")
    album.assign([501], "e2", "Eve")
    with pytest.raises(GalleryError, match=r"2 people .* shown as 'eve'.*'e1', 'e2'"):
        people.find(album, "eve")
    assert people.find(album, "e2").photos == 1


def test_a_read_only_gallery_is_left_alone(album: Gallery, fake_encoder: ProjectionEncoder) -> None:
    album.close()
    with Gallery.open(album.folder, fake_encoder, read_only=True) as gallery:
        for change in (
            lambda: people.rename(gallery, "Ada", "Eve"),
            lambda: people.hide(gallery, "Person 1"),
            lambda: people.merge(gallery, "Ada", ["Person 1"]),
            lambda: gallery.discard(["Ada"]),
            gallery.undo,
            gallery.empty_trash,
        ):
            with pytest.raises(GalleryError, match="read-only"):
                change()
        assert gallery.last_removal() is None


def test_who_may_be_the_same_is_suggested(album: Gallery, fake_encoder: ProjectionEncoder) -> None:
    album.assign([502], "unnamed-2", "Person 2")
    near = album.rows([500, 501])
    distances = {
        (s.a.person, s.b.person): s.distance for s in people.suggestions(album, radius=128)
    }
    one = template(near.logits)
    two = album.rows([502]).codes[0]
    between = int(np.bitwise_count(one ^ two).sum())
    assert distances[("unnamed-1", "unnamed-2")] == between
    assert all("unnamed-" in b for _, b in distances)
    assert list(distances.values()) == sorted(distances.values())
    assert people.suggestions(album, radius=-1) == []
    assert len(people.suggestions(album, radius=128, most=1)) == 1
    people.hide(album, "Person 1")
    assert all("Person 1" not in (s.a.name, s.b.name) for s in people.suggestions(album, 128))
