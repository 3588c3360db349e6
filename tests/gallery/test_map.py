"""The gallery's map: near codes lie near, the same codes give the same map, nothing is invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.gallery import map as gallery_map
from daah.gallery.map import Projection


def _clusters(people: int, photos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N, 8) uint8 of people whose photos differ in a few bits, and labels (N,)."""
    rng = np.random.default_rng(seed)
    centres = rng.random((people, 64)) < 0.5
    labels = np.repeat(np.arange(people), photos)
    return codes.pack(centres[labels] ^ (rng.random((len(labels), 64)) < 0.06)), labels


@pytest.fixture(scope="module")
def drawn() -> tuple[Projection, np.ndarray]:
    packed, labels = _clusters(10, 8)
    return gallery_map.project(np.arange(len(labels)) * 7, packed, "model"), labels


def test_faces_of_one_person_lie_together(drawn: tuple[Projection, np.ndarray]) -> None:
    on_map, labels = drawn
    apart = np.linalg.norm(on_map.xy[:, None] - on_map.xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.mean(labels[apart.argmin(1)] == labels) > 0.95


def test_positions_are_finite_and_inside(drawn: tuple[Projection, np.ndarray]) -> None:
    xy = drawn[0].xy
    assert xy.shape == (80, 2)
    assert np.all((xy >= 0) & (xy <= 1))
    assert np.ptp(xy, axis=0) == pytest.approx([0.96, 0.96], abs=1e-5)


def test_the_same_codes_give_the_same_map(drawn: tuple[Projection, np.ndarray]) -> None:
    on_map = drawn[0]
    again = gallery_map.project(on_map.ids, on_map.codes, "model")
    assert np.array_equal(on_map.xy, again.xy)


def test_a_known_code_is_placed_on_its_entry(drawn: tuple[Projection, np.ndarray]) -> None:
    on_map = drawn[0]
    assert on_map.place(on_map.codes[:5]) == pytest.approx(on_map.xy[:5], abs=1e-4)


def test_a_new_photo_is_placed_among_its_person(drawn: tuple[Projection, np.ndarray]) -> None:
    on_map, labels = drawn
    near_first = on_map.codes[:1] ^ np.array([[1, 0, 0, 0, 0, 0, 0, 128]], np.uint8)
    (place,) = on_map.place(near_first)
    apart = np.linalg.norm(on_map.xy - place, axis=1)
    assert labels[apart.argmin()] == labels[0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_small_galleries_have_a_map(count: int) -> None:
    packed = _clusters(1, count)[0]
    on_map = gallery_map.project(np.arange(count), packed, "model")
    assert on_map.xy.shape == (count, 2)
    assert np.isfinite(on_map.xy).all()
    query = np.zeros((2, 8), np.uint8)
    assert np.isfinite(on_map.place(query)).all()


def test_equal_codes_are_no_trouble() -> None:
    on_map = gallery_map.project(np.arange(6), np.zeros((6, 8), np.uint8), "model")
    assert np.isfinite(on_map.xy).all()


def test_a_large_gallery_joins_its_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_map, "LANDMARKS", 60)
    packed, labels = _clusters(10, 12)
    on_map = gallery_map.project(np.arange(120), packed, "model")
    apart = np.linalg.norm(on_map.xy[:, None] - on_map.xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert on_map.ids.tolist() == list(range(120))
    assert np.mean(labels[apart.argmin(1)] == labels) > 0.9


def test_entries_join_and_leave(drawn: tuple[Projection, np.ndarray]) -> None:
    on_map = drawn[0]
    joined = on_map.joined(np.array([9999], np.int64), on_map.codes[3:4])
    assert joined.ids[-1] == 9999
    assert joined.xy[-1] == pytest.approx(on_map.xy[3], abs=1e-4)
    moved = joined.joined(np.array([9999], np.int64), on_map.codes[40:41])
    assert len(moved.ids) == 81
    assert moved.xy[-1] == pytest.approx(on_map.xy[40], abs=1e-4)
    left = joined.without([9999, int(on_map.ids[0])])
    assert np.array_equal(left.xy, on_map.xy[1:])


def test_a_saved_map_is_read_back(drawn: tuple[Projection, np.ndarray], tmp_path: Path) -> None:
    gallery_map.save(tmp_path / "map.npz", drawn[0])
    read = gallery_map.load(tmp_path / "map.npz")
    assert read.fingerprint == "model"
    for name in ("ids", "xy", "codes"):
        assert np.array_equal(getattr(read, name), getattr(drawn[0], name))
    assert [path.name for path in tmp_path.iterdir()] == ["map.npz"]


def test_what_is_no_map_is_none(drawn: tuple[Projection, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    assert gallery_map.load(path) is None
    gallery_map.save(path, drawn[0])
    path.write_bytes(path.read_bytes()[:-100])
    assert gallery_map.load(path) is None
    np.savez(path, ids=np.array([{}], dtype=object))  # a pickle, which must not be read
    assert gallery_map.load(path) is None
