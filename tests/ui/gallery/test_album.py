"""Who is who in a local gallery: what is done, what is said, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.errors import ConfigError, GalleryError
from daah.gallery import SessionGallery, clusters
from daah.gallery.gallery import Gallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.gallery import actions, album, album_html
from daah.ui.gallery import html as gallery_html
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles.retriever import PEOPLE, photo
from tests.ui.gallery.test_actions import saved

RED, GREEN = PEOPLE["red"], PEOPLE["green"]
VIOLET, TEAL = (120, 0, 160), (0, 150, 150)


@pytest.fixture
def context(fake: FaceRetriever, tmp_path: Path) -> AppContext:
    """A local run, with a folder of two people without a name: three photos and two."""
    made = AppContext(fake, Settings(public=False))
    for n in range(3):
        saved(tmp_path / "loose" / "a" / f"{n}.png", photo((VIOLET, 200 + n)))
    for n in range(2):
        saved(tmp_path / "loose" / f"b{n}.png", photo((TEAL, 200 + n)))
    saved(tmp_path / "loose" / "wall.png", photo())
    album.import_loose(made, str(tmp_path / "loose"), lambda *_: None)
    return made


@pytest.fixture
def gallery(context: AppContext) -> Gallery:
    return context.retriever.gallery


def drawn(gallery: Gallery, **more) -> str:
    return album_html.album(album.album(gallery), lambda _: photo(), **more)


def ids(gallery: Gallery, person: str) -> list[int]:
    return [entry.id for entry in gallery.entries(person)]


def test_a_folder_without_names_becomes_cards(context: AppContext, gallery: Gallery) -> None:
    shown = album.album(gallery)
    assert [(c.person.shown, c.person.photos) for c in shown.clusters] == [
        ("Person 1", 3),
        ("Person 2", 2),
    ]
    html = drawn(gallery)
    assert "2 people without a name" in html
    assert 'data-do="name" data-person="unnamed-1"' in html
    assert html.partition("without a name")[2].count("<img") == 5
    report, found = album.import_loose(
        context, str(gallery.folder.parent / "loose"), lambda *_: None
    )
    assert (report.added, report.present, report.refused) == (0, 5, 1)
    assert gallery_html.clustered(found) == ""


def test_what_an_import_says_of_photos(fake: FaceRetriever, tmp_path: Path) -> None:
    saved(tmp_path / "group.png", photo((VIOLET, 100), (TEAL, 300)))
    saved(tmp_path / "one.png", photo((RED, 300)))
    taken: list[str] = []
    context = AppContext(fake, Settings(public=False))
    report, found = album.import_loose(context, str(tmp_path), lambda *_: None, took=taken.append)
    assert taken == ["group.png: face 2 of 2 from the left, 300 pixels wide, was taken"]
    assert (report.added, found.people) == (2, 2)  # the gallery in this folder is left out
    html = gallery_html.outcome(report.added, [], taken=taken) + gallery_html.clustered(found)
    assert "several people are on the photo" in html
    assert "face 2 of 2" in html
    assert "2 people without a name found" in html
    taken.clear()
    files = [str(tmp_path / "group.png")]
    actions.add_person(context, "Ann", files, lambda *_: None, took=taken.append)
    actions.add_for_visit(
        fake, SessionGallery(), "Bo", photo((VIOLET, 100), (TEAL, 300)), took=taken.append
    )
    which = "face 2 of 2 from the left, 300 pixels wide, was taken"
    assert taken == [f"group.png: {which}", which]
    with pytest.raises(GalleryError, match="Name a folder"):
        album.import_loose(context, " ", lambda *_: None)


def test_names_are_given_and_a_known_one_asks_for_a_merge(
    context: AppContext, gallery: Gallery
) -> None:
    assert album.give_name(context, "unnamed-1", " Vi ") == "Person 1 is Vi from now on."
    with pytest.raises(ConfigError, match="Type a name"):
        album.give_name(context, "unnamed-2", " ")
    assert album.namesake(gallery, "Vi", "vi") is None
    other = album.namesake(gallery, "unnamed-2", "VI")
    assert other is not None
    (who,) = (c.person for c in album.album(gallery).clusters)
    question = album_html.ask_merge(who, other)
    assert "Is Person 2 the same person?" in question
    assert 'data-do="merge" data-person="Vi" data-other="unnamed-2" data-focus' in question
    assert question in drawn(gallery, question=question, at="unnamed-2")
    assert album.merge(context, "Vi", "unnamed-2") == "Person 2 and Vi are one person now, Vi."
    assert gallery.people()["Vi"] == 5
    assert drawn(gallery) == ""


def test_hidden_people_are_shown_when_asked_for(context: AppContext, gallery: Gallery) -> None:
    album.hide(context, "unnamed-2", True)
    assert "Person 2" not in drawn(gallery)
    assert "1 person is hidden" in drawn(gallery)
    assert "Person 2" in drawn(gallery, unhidden=True)
    found, total = actions.find_people(gallery, SessionGallery(), "", 10)
    assert total == len(found) == 4
    assert "Person 2" not in [p.name for p in found]
    assert album.hide(context, "hidden-2", False) == "Person 2 is shown again."
    assert "Person 2" in drawn(gallery)


def test_photos_move_and_people_are_split(context: AppContext, gallery: Gallery) -> None:
    one, two, three = ids(gallery, "unnamed-1")
    assert album.move(context, [one], "red") == "1 photo is of red now."
    assert album.move(context, [two], "") == "1 photo is of Person 3 now."
    assert ids(gallery, "unnamed-1") == [three]
    assert gallery.people()["red"] == 3
    who, photos = album.photos(gallery, "unnamed-3")
    html = album_html.editor(who, photos, lambda _: photo())
    assert f'value="{two}"' in html
    assert 'data-do="hide"' in html
    with pytest.raises(GalleryError, match="Choose the photos"):
        album.move(context, [], "red")


def test_likely_pairs_are_proposed_until_they_are_said_to_differ(
    context: AppContext, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "doubtful_radius", lambda bits: bits)
    pairs = album.album(gallery).pairs
    assert pairs
    a, b = pairs[0]
    assert "The same person?" in drawn(gallery)
    different = {album.pair_of(b.person.person, a.person.person)}
    left = album.album(gallery, different).pairs
    assert (a.person, b.person) not in [(x.person, y.person) for x, y in left]
    assert len(left) >= len(pairs) - 1


def test_a_removal_is_asked_for_undone_and_made_final(
    context: AppContext, gallery: Gallery
) -> None:
    assert album_html.undo(gallery.last_removal()) == ""
    (who, _) = album.photos(gallery, "red")
    question = album_html.ask_remove(who)
    assert "Remove red, with 2 photos?" in question
    assert 'data-do="keep" data-person="red" data-focus' in question
    album.remove(context, "red")
    mine = gallery.last_removal()
    assert mine is not None
    assert f'data-removal="{mine}"' in album_html.undo(mine)
    (photo_id, *_) = ids(gallery, "green")
    assert album.remove(context, ids=[photo_id]).startswith("1 photo removed.")
    with pytest.raises(GalleryError, match="Choose the photos"):
        album.remove(context, ids=[])
    assert album.undo(context, mine) == "2 photos are back of red."
    assert gallery.people()["red"] == 2
    with pytest.raises(GalleryError, match="nothing to undo"):
        album.undo(context, mine)  # another window did it
    album.empty_trash(context)
    assert gallery.last_removal() is None
    assert album.remove(context, "blue", for_good=True).endswith("for good.")
    assert gallery.last_removal() is None


def test_names_and_photos_are_escaped(context: AppContext, gallery: Gallery) -> None:
    album.give_name(context, "unnamed-1", "<b>'\"Vi")
    who, photos = album.photos(gallery, "<b>'\"Vi")
    html = album_html.editor(who, photos, lambda _: photo(), album_html.ask_remove(who))
    assert "<b>'" not in html
    assert "&lt;b&gt;" in html
