"""FaceScrub, YouTube Faces and 32x32 batches, on tiny copies of their layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from daah.data import face_benchmarks
from daah.data.face_benchmarks import Counts
from daah.errors import DataError

RNG = np.random.default_rng(0)


def photo(path: Path, value: int, size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def test_the_published_counts_are_kept() -> None:
    assert Counts(530, 67_177, 2_650) == face_benchmarks.FACESCRUB
    assert face_benchmarks.FACESCRUB.query == 530 * 5
    assert face_benchmarks.YOUTUBE_FACES.people == 1_595


@pytest.mark.parametrize("groups", [("actors", "actresses"), ("",)])
def test_facescrub_layouts(tmp_path: Path, groups: tuple[str, ...]) -> None:
    for g, group in enumerate(groups):
        for p in range(3):
            for i in range(8):
                photo(tmp_path / group / f"P{g}{p}" / "faces" / f"{i}.png", 10 * p + i)
    people = 3 * len(groups)
    train, query = face_benchmarks.facescrub(tmp_path, Counts(people, people * 3, people * 5))
    assert train.people == query.people
    assert train.images.shape == (people * 3, 32, 32, 3)
    assert np.bincount(query.labels).tolist() == [5] * people
    assert not set(train.names) & set(query.names)
    for part in (train, query):  # each face is the one its name says, under the right person
        for face, label, name in zip(part.images, part.labels, part.names, strict=True):
            person = part.people[label]
            assert person in name
            assert face[0, 0, 0] == 10 * int(person[-1]) + int(Path(name).stem)
    again, _ = face_benchmarks.facescrub(tmp_path, None)
    assert again.names == train.names
    assert face_benchmarks.facescrub(tmp_path, None, seed=1)[0].names != train.names


def test_a_part_of_facescrub_is_told_with_all_figures(tmp_path: Path) -> None:
    for i in range(6):
        photo(tmp_path / "P" / f"{i}.png", i)
    with pytest.raises(DataError, match=r"1 identities instead of 530.*1 training.*5 test"):
        face_benchmarks.facescrub(tmp_path)


def test_youtube_faces_takes_the_middle_of_frames_of_all_videos(tmp_path: Path) -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[25:75, 25:75] = 200
    for p in range(2):
        for video in range(2):
            for i in range(4):
                path = tmp_path / f"P{p}" / str(video) / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(frame).save(path)
    train, query = face_benchmarks.youtube_faces(tmp_path, Counts(2), train_each=4, query_each=3)
    assert (len(train), len(query)) == (8, 6)
    assert (train.images == 200).all()
    with pytest.raises(DataError, match="2 identities instead of 1595"):
        face_benchmarks.youtube_faces(tmp_path, train_each=4, query_each=3)


IMAGES = RNG.integers(0, 256, (6, 32, 32, 3), np.uint8)
LABELS = np.array([7, 9, 7, 9, 7, 9])


@pytest.mark.parametrize(
    "stored",
    [
        IMAGES,
        IMAGES.transpose(0, 3, 1, 2),
        IMAGES.transpose(1, 2, 3, 0),
        IMAGES.transpose(0, 3, 1, 2).reshape(6, 3072),
    ],
    ids=["NHWC", "NCHW", "HWCN", "rows"],
)
@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_batches_of_every_order(tmp_path: Path, stored: np.ndarray, kind: str) -> None:
    for part in ("train", "test"):
        file = tmp_path / f"{part}_1.{kind}"
        if kind == "npz":
            np.savez(file, data=stored, label=LABELS)
        else:
            savemat(file, {"data": stored, "label": LABELS})
    train, query = face_benchmarks.batch_folder(tmp_path, Counts(2, 6, 6))
    np.testing.assert_array_equal(train.images, IMAGES)
    assert train.people == ("7", "9")
    assert query.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert not set(train.names) & set(query.names)


def test_several_batches_are_joined(tmp_path: Path) -> None:
    for i in range(3):
        np.savez(tmp_path / f"train_{i}.npz", images=IMAGES, labels=LABELS)
    np.savez(tmp_path / "query.npz", images=IMAGES, labels=LABELS)
    train, query = face_benchmarks.batch_folder(tmp_path)
    assert (len(train), len(query)) == (18, 6)


class Trap:
    """An object whose unpickling would be noticed."""

    opened = False

    def __reduce__(self) -> tuple:
        return (setattr, (Trap, "opened", True))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "train.pkl").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "trap.npz", images=np.array([Trap()], object), labels=LABELS)
    np.savez(tmp_path / "good.npz", images=IMAGES, labels=LABELS)
    Trap.opened = False
    for name, text in (("train.pkl", "can run any code"), ("trap.npz", "plain arrays")):
        with pytest.raises(DataError, match=text):
            face_benchmarks.batches([tmp_path / name], [tmp_path / "good.npz"])
    assert not Trap.opened


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"images": IMAGES.astype(np.float32), "labels": LABELS}, "uint8"),
        ({"images": IMAGES, "labels": LABELS[:3]}, "do not fit"),
        ({"images": IMAGES, "labels": LABELS + 0.5}, "whole numbers"),
        ({"faces": IMAGES, "labels": LABELS}, "no array named images"),
        ({"images": IMAGES, "labels": np.arange(6)}, "only one of train and query"),
    ],
)
def test_other_batches_are_refused(tmp_path: Path, arrays: dict, text: str) -> None:
    np.savez(tmp_path / "train.npz", **arrays)
    np.savez(tmp_path / "query.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=text):
        face_benchmarks.batch_folder(tmp_path)


def test_damaged_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "train.npz").write_bytes(b"no zip")
    (tmp_path / "train.mat").write_bytes(b"no matlab" * 40)
    for name in ("train.npz", "train.mat", "absent.npz"):
        with pytest.raises(DataError, match=name):
            face_benchmarks.batches([tmp_path / name], [tmp_path / name])
    with pytest.raises(DataError, match="no such folder"):
        face_benchmarks.facescrub(tmp_path / "absent")
    with pytest.raises(DataError, match="no train batches"):
        face_benchmarks.batches([], [])
