"""What the Gallery tab does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.errors import ConfigError, DataError, GalleryError, ImageError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace, FaceQuality
from daah.ui.app import build_app
from daah.ui.gallery import actions as gallery_actions
from daah.ui.gallery import album
from daah.ui.gallery import html as gallery_html
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
LOCAL = Settings(public=False)


def saved(path: Path, rgb: np.ndarray) -> str:
    """A photo as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return str(path)


# --------------------------------------------------------------------------------------- gallery


def test_the_map_has_a_point_for_each_photo_and_the_visitors_face(fake: FaceRetriever) -> None:
    context = AppContext(fake, LOCAL)
    drawn = gallery_actions.draw_map(context, fake_retriever.encoded(RED))
    assert len(drawn.ids) == 6
    assert sorted(set(drawn.people)) == ["blue", "green", "red"]
    assert drawn.query is not None
    x, y = drawn.xy[2]
    assert gallery_actions.nearest_point(drawn, float(x), float(1 - y)) in drawn.ids.tolist()
    red = next(fake.gallery.entries("red"))
    html = gallery_html.map_picture(drawn, red)
    assert html.count("<circle") == 6
    assert html.count('class="chosen"') == 2
    assert "this face, as searched for" in html
    assert "stranger" not in html


def test_a_stranger_on_the_map_is_hollow_and_led_to_the_nearest_photo(fake: FaceRetriever) -> None:
    query = fake_retriever.encoded((5, 5, 5))
    drawn = gallery_actions.draw_map(AppContext(fake, LOCAL), query)
    (person,) = fake.match_people(query, 1)
    assert person.verdict != "match"
    assert drawn.nearest is not None
    assert np.array_equal(drawn.nearest, drawn.xy[drawn.ids == person.id][0])
    html = gallery_html.map_picture(drawn, None)
    assert 'class="query stranger"' in html
    assert 'class="resembles"' in html
    assert "no match: the dashed line leads to the nearest photo" in html


def test_a_point_of_the_picture_is_a_point_of_the_map() -> None:
    place = gallery_html._place(np.array([[0.25, 0.75]], np.float32))[0] / gallery_html.SIDE
    assert gallery_html.unplace(*place) == pytest.approx((0.25, 0.25), abs=1e-3)


def test_people_are_found_by_name_and_the_visitors_own_come_first(fake: FaceRetriever) -> None:
    additions = SessionGallery().add("Redmond", "x/1", fake_retriever.encoded(BLUE))
    found, total = gallery_actions.find_people(fake.gallery, additions, "RED", 10)
    assert [(p.name, p.own) for p in found] == [("Redmond", True), ("red", False)]
    assert total == 2
    found, total = gallery_actions.find_people(fake.gallery, additions, "", 2)
    assert (len(found), total) == (2, 4)
    assert "2 more" in gallery_html.people(found, total, lambda _: photo(), "")
    assert "Nobody named" in gallery_html.people([], 0, lambda _: photo(), "zoe")


def test_another_gallery_is_not_described_as_the_built_in_one(fake: FaceRetriever) -> None:
    demo = build_app(fake, Settings(), {})
    about = next(b.value for b in demo.blocks.values() if b.elem_id == "about")
    assert "Source: " in about
    assert "nineties" not in about
    assert "$" not in about.split("##")[2]
    demo.close()


def test_people_are_sorted_as_people_count() -> None:
    names = ["s10", "s2", "Zoe", "s1", "7up", "٣", "", "anna", "s" + "9" * 5000]
    ordered = sorted(names, key=gallery_actions._counted)
    assert ordered[:3] == ["", "7up", "anna"]
    assert [name for name in ordered if name in ("s1", "s2", "s10")] == ["s1", "s2", "s10"]
    assert set(ordered) == set(names)


def test_a_photo_opens_with_others_of_the_person(fake: FaceRetriever) -> None:
    entry = next(fake.gallery.entries("green"))
    photos = gallery_actions.photos_of(fake.gallery, SessionGallery(), entry.id)
    assert photos[0].id == entry.id
    assert {p.person for p in photos} == {"green"}
    assert len(photos) == 2
    with pytest.raises(GalleryError):
        gallery_actions.photos_of(fake.gallery, SessionGallery(), -5)


def test_additions_of_a_visit_leave_the_gallery_as_it_is(fake: FaceRetriever) -> None:
    additions = gallery_actions.add_for_visit(fake, SessionGallery(), "Ann", photo((RED, 200)))
    additions = gallery_actions.add_for_visit(fake, additions, "Ann", photo((BLUE, 200)))
    assert additions.people() == {"Ann": 2}
    assert fake.gallery.count() == 6
    with pytest.raises(ImageError):
        gallery_actions.add_for_visit(fake, additions, "Ann", None)
    with pytest.raises(ImageError, match="No face"):
        gallery_actions.add_for_visit(fake, additions, "Ann", photo())
    with pytest.raises(ConfigError):
        gallery_actions.add_for_visit(fake, additions, "  ", photo((RED, 200)))


def test_a_face_that_is_hard_to_tell_from_others_is_added_with_a_warning_or_not_at_all(
    fake: FaceRetriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quality(encoded: EncodedFace) -> FaceQuality:
        return FaceQuality(min(1.0, encoded.face.width / 400), ("small",))

    monkeypatch.setattr(fake.judge, "quality", quality)
    warnings: list[str] = []
    additions = SessionGallery()
    with pytest.raises(ImageError, match=r"Not added: quality 0\.07 is under 0\.1: the face"):
        gallery_actions.add_for_visit(fake, additions, "Ann", photo((RED, 30)), 9, warnings.append)
    additions = gallery_actions.add_for_visit(
        fake, additions, "Ann", photo((RED, 120)), 9, warnings.append
    )
    assert (len(additions), warnings) == (1, ["quality 0.30 is under 0.4: the face is small"])
    files = [saved(tmp_path / f"{w}.png", photo((RED, w))) for w in (30, 100, 300)]
    warnings.clear()
    added, skipped = gallery_actions.add_person(
        AppContext(fake, LOCAL), "Ann", files, lambda *_: None, warnings.append
    )
    assert (added, [name for name, _ in skipped]) == (2, ["30.png"])
    assert warnings == ["100.png: quality 0.25 is under 0.4: the face is small"]
    html = gallery_html.outcome(added, skipped, warnings=warnings)
    assert "2 photos added." in html
    assert html.count("<li>") == 2
    assert "Added, but hard to tell from others" in html


def test_a_local_run_adds_removes_imports_and_chooses(fake: FaceRetriever, tmp_path: Path) -> None:
    context = AppContext(fake, LOCAL)
    files = [saved(tmp_path / "a.png", photo((RED, 200))), saved(tmp_path / "b.png", photo())]
    added, skipped = gallery_actions.add_person(context, "Ann", files, lambda *_: None)
    assert (added, [name for name, _ in skipped]) == (1, ["b.png"])
    assert "b.png" in gallery_html.outcome(added, skipped)
    gallery_actions.redraw(context)
    assert len(gallery_actions.draw_map(context).ids) == 7
    said = album.remove(context, "Ann")
    assert said == "Ann is removed, with 1 photo. This can be undone for an hour."
    with pytest.raises(GalleryError):
        album.remove(context, "Ann")

    saved(tmp_path / "tree" / "Bob" / "1.png", photo((GREEN, 200)))
    saved(tmp_path / "tree" / "Cid" / "1.png", photo((BLUE, 200)))
    with pytest.raises(GalleryError, match="no gallery mine"):
        context.choose(str(tmp_path / "mine"))
    with pytest.raises(GalleryError, match="holds other files"):
        context.choose(str(tmp_path / "tree"), create=True)
    assert context.retriever is fake
    assert {path.name for path in (tmp_path / "tree").iterdir()} == {"Bob", "Cid"}
    context.choose(str(tmp_path / "mine"), create=True)
    assert context.retriever is not fake
    told: list[str] = []
    report = gallery_actions.import_folder(
        context, str(tmp_path / "tree"), lambda _, text: told.append(text)
    )
    assert report == (2, 0, [])
    assert told[-1].startswith("2 of 2: ")
    assert context.retriever.gallery.people() == {"Bob": 1, "Cid": 1}
    with pytest.raises(DataError):
        gallery_actions.import_folder(context, str(tmp_path / "nowhere"), lambda *_: None)
    context.retriever.gallery.close()


def test_a_public_host_refuses_every_change(fake: FaceRetriever, tmp_path: Path) -> None:
    context = AppContext(fake, Settings())
    for change in (
        lambda: gallery_actions.add_person(context, "Ann", ["x"], lambda *_: None),
        lambda: album.remove(context, "red"),
        lambda: album.import_loose(context, str(tmp_path), lambda *_: None),
        lambda: album.give_name(context, "red", "Ann"),
        lambda: album.merge(context, "red", "blue"),
        lambda: album.hide(context, "red", True),
        lambda: album.move(context, [1], "Ann"),
        lambda: album.undo(context, ""),
        lambda: album.empty_trash(context),
        lambda: gallery_actions.import_folder(context, str(tmp_path), lambda *_: None),
        lambda: gallery_actions.redraw(context),
        lambda: context.choose(str(tmp_path / "other")),
    ):
        with pytest.raises(GalleryError, match="read-only"):
            change()
    assert fake.gallery.count() == 6
