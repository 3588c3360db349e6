"""Faces without names: what is clustered, what joins, and that names given by hand stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.codes import hamming, pack
from daah.errors import DataError, GalleryError
from daah.gallery import Gallery, clusters, enrol, people
from daah.stores.base import Meta
from daah.types import Code
from tests.doubles.encoder import ProjectionEncoder, encoded

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def gallery(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g", fake_encoder) as opened:
        yield opened


def near(who: int, n: int, noise: float = 0.4, bits: int = 128) -> np.ndarray:
    """Logits of a photo of an invented person; photos of one differ in a few bits."""
    mean = np.random.default_rng(who).normal(size=bits)
    return (mean + noise * np.random.default_rng([who, n]).normal(size=bits)).astype(np.float32)


def enrolled(gallery: Gallery, who: int, numbers: range, person: str = "") -> list[int]:
    """Photos of an invented person, without a name or as `person`."""
    rows, ids = [], []
    for n in numbers:
        logits, id_ = near(who, n), 1000 * who + n
        code = Code(logits > 0, logits)
        made = replace(encoded(ProjectionEncoder(), id_), code=code)
        rows.append((person or people.unsorted_person(id_), f"{id_}.jpg", made))
        ids.append(id_)
    gallery.add_many(rows, ids)
    return ids


def by_person(gallery: Gallery) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in gallery.entries():
        found.setdefault(entry.person, []).append(entry.id)
    return found


def test_people_are_found_the_largest_first(gallery: Gallery) -> None:
    one, two, alone = (enrolled(gallery, who, range(n)) for who, n in ((1, 4), (2, 6), (3, 1)))
    report = clusters.cluster(gallery)
    assert (report.faces, report.people, report.joined, report.radius) == (11, 3, 0, 32)
    assert by_person(gallery) == {"unnamed-1": two, "unnamed-2": one, "unnamed-3": alone}
    assert gallery.entry(two[0]).name == "Person 1"
    gallery.store.check()
    assert clusters.cluster(gallery) == clusters.ClusterReport(0, 0, 0, 32)


def test_later_photos_join_and_nothing_else_changes(gallery: Gallery) -> None:
    """Also those of somebody hidden; a split by hand and people with names stay."""
    one, two, three = (enrolled(gallery, who, range(6)) for who in (1, 2, 3))
    clusters.cluster(gallery)
    named = people.rename(gallery, gallery.entry(two[0]).person, "Ann")
    people.hide(gallery, gallery.entry(three[0]).person)
    people.split(gallery, one[:2])
    late = {who: enrolled(gallery, who, range(10, 13)) for who in (1, 2, 3)}
    report = clusters.cluster(gallery)
    assert (report.faces, report.people, report.joined) == (9, 1, 6)
    found = by_person(gallery)
    assert found["unnamed-4"] == one[:2]
    assert found[gallery.entry(one[-1]).person] == one[2:] + late[1]
    assert found[named] == two
    assert found["hidden-3"] == three + late[3]
    (suggested,) = people.suggestions(gallery, radius=20, most=1)
    assert {suggested.a.person, suggested.b.person} in (
        {"Ann", gallery.entry(late[2][0]).person},
        {"unnamed-4", gallery.entry(one[-1]).person},
    )


def test_density_clusters_equal_their_definition(gallery: Gallery) -> None:
    """DBSCAN by brute force: components of the middles, and the nearest edge of each."""
    for who in range(12):
        enrolled(gallery, who, range(who % 5 + 1), person=f"p{who}")
    (rows,) = gallery.store.scan()
    for radius, bits, least in ((20, 128, 3), (26, 128, 1), (10, 64, 2), (0, 128, 1)):
        cut = rows.codes[:, : bits // 8]
        close = hamming(cut, cut) <= radius
        middle = close.sum(1) >= least
        found = clusters.density_clusters(gallery.store, rows.ids, rows.codes, radius, bits, least)
        joined = close & middle[:, None] & middle
        for _ in range(len(rows.ids)):
            joined = joined | (joined.astype(int) @ joined.astype(int) > 0)
        same = found[:, None] == found
        assert np.array_equal(same & middle[:, None] & middle, joined)
        edge = ~middle & (close & middle).any(1)
        assert all((close[i] & middle & same[i]).any() for i in np.flatnonzero(edge))
        lone = ~middle & ~edge
        assert (same[lone].sum(1) == 1).all()


def test_the_settings_are_those_that_were_chosen_on_people_of_training() -> None:
    """The report's choice at each length; other lengths lie between, and short ones are strict."""
    results = json.loads((RESULTS / "clustering.json").read_text())["results"]
    chosen = {row["bits"]: row["radius"] for row in results}
    assert chosen == clusters.RADII
    assert {row["neighbours"] for row in results} == {clusters.MIN_FACES}
    assert {bits: clusters.radius_of(bits) for bits in chosen} == chosen
    assert chosen[64] < clusters.radius_of(96) < chosen[128]
    assert clusters.radius_of(32) / 32 <= chosen[64] / 64


def test_equal_codes_are_neighbours(gallery: Gallery) -> None:
    codes = np.repeat(pack(near(1, 0)[None] > 0), 4, axis=0)
    ids = np.arange(4)
    gallery.store.upsert(ids, codes, [Meta("a", str(i), 0.0) for i in ids])
    assert len(set(clusters.density_clusters(gallery.store, ids, codes, 0).tolist())) == 1
    nothing = clusters.density_clusters(gallery.store, ids[:0], codes[:0], 5)
    assert nothing.shape == (0,)


def test_a_folder_of_loose_photos(
    gallery: Gallery, orl_photos: list, tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    """Folders in it count; a copy is enrolled once; a second run adds nothing and asks nothing."""
    folder = tmp_path / "holiday"
    (folder / "rome").mkdir(parents=True)
    (folder / ".trash").mkdir()
    for n, photo in enumerate(orl_photos[:3]):
        Image.fromarray(photo.rgb).save(folder / ("rome" if n else ".") / f"{n}.png")
    (folder / "rome" / "copy.png").write_bytes((folder / "rome" / "1.png").read_bytes())
    (folder / ".trash" / "9.png").write_bytes((folder / "rome" / "1.png").read_bytes())
    (folder / "notes.txt").write_text("no photo")
    photos = clusters.loose_photos(gallery, folder)
    assert photos.total == 4
    report = enrol.add(gallery, photos, fake_encoder, workers=0)
    assert (report.added, report.present, report.refused) == (3, 1, 0)
    clusters.cluster(gallery)
    people.rename(gallery, "Person 1", "Ann")
    before = by_person(gallery)
    report = enrol.add(gallery, clusters.loose_photos(gallery, folder), fake_encoder, workers=0)
    assert (report.added, report.present, report.refused) == (0, 4, 0)
    assert by_person(gallery) == before
    assert {entry.photo for entry in gallery.entries()} <= {
        "0.png", "rome/1.png", "rome/copy.png", "rome/2.png",
    }  # fmt: skip


def test_a_folder_without_photos_is_said(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photos in it"):
        clusters.loose_photos(gallery, tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        clusters.loose_photos(gallery, tmp_path / "nowhere")


def test_a_read_only_gallery_is_not_clustered(
    gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    enrolled(gallery, 1, range(3))
    gallery.close()
    with (
        Gallery.open(gallery.folder, fake_encoder, read_only=True) as again,
        pytest.raises(GalleryError, match="read-only"),
    ):
        clusters.cluster(again)
