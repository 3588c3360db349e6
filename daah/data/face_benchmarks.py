"""Loaders of the papers' face sets, which users must obtain themselves: FaceScrub, YouTube Faces.

Neither can be redistributed. They are read as the folders they are distributed in, or as the 32x32
batches used by papers on face hashing. Batches are read as .npz or .mat arrays only. A pickled
batch can run any code when it is opened, so pickles are refused, also within .npz files.

Axes: N = images.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from daah.data.face_set import FaceSet
from daah.errors import DataError, ImageError
from daah.images import read_image
from daah.parallel import Progress

SIDE = 32
_SUFFIXES = (".jpg", ".jpeg", ".png")
_IMAGES, _LABELS = ("images", "data", "x"), ("labels", "label", "y")


@dataclass(frozen=True)
class Counts:
    """Number of identities and images of a complete set.

    Attributes:
        people: identities.
        train: database images; None where the papers do not say.
        query: query images; None where the papers do not say.
    """

    people: int
    train: int | None = None
    query: int | None = None

    def check(self, name: str, train: FaceSet, query: FaceSet) -> None:
        """Compare a set that was read with these counts.

        Args:
            name: name of the set, for the error.
            train: its database images.
            query: its query images.

        Raises:
            DataError: a count differs; the text names all that do.
        """
        found = {"people": len(train.people), "train": len(train), "query": len(query)}
        wrong = [
            f"{found[key]} {text} instead of {wanted}"
            for key, text in (
                ("people", "identities"),
                ("train", "training images"),
                ("query", "test images"),
            )
            if (wanted := getattr(self, key)) is not None and wanted != found[key]
        ]
        if wrong:
            raise DataError(
                f"{name}: {', '.join(wrong)}. A part of a set gives figures that cannot be compared"
                " with published ones"
            )


@dataclass(frozen=True)
class Layout:
    """How a set is split, and where the face is in a photo.

    Attributes:
        name: name of the set.
        query_each: query photos per identity, drawn by the seed.
        train_each: database photos per identity, drawn by the seed; None takes all others.
        crop: side of the central square that the face fills, as a share of the photo's shorter
            side.
    """

    name: str
    query_each: int
    train_each: int | None = None
    crop: float = 1.0


FACESCRUB = Counts(people=530, train=67_177, query=2_650)
YOUTUBE_FACES = Counts(people=1_595)


def facescrub(
    root: Path,
    counts: Counts | None = FACESCRUB,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[FaceSet, FaceSet]:
    """Read FaceScrub from folders: five random queries per identity, all other photos as database.

    Photos are face crops already: their central square is resized to 32x32.

    Args:
        root: folder with PERSON/face.jpg, or actors/PERSON/face.jpg and actresses/PERSON/face.jpg;
            a folder `faces` between person and photos is accepted.
        counts: expected counts; None checks nothing.
        seed: seed of the split.
        progress: called with photos read, their number, and the step.

    Returns:
        Database and queries.

    Raises:
        DataError: the folder is missing, counts differ, an identity has too few photos, or a photo
            cannot be read.
    """
    root = _folder(root)
    groups = [root / g for g in ("actors", "actresses") if (root / g).is_dir()] or [root]
    people: dict[str, list[Path]] = {}
    for person in sorted(p for group in groups for p in group.iterdir() if p.is_dir()):
        inner = person / "faces"
        people[person.name] = _photos(inner if inner.is_dir() else person)
    return _split(root, people, Layout("FaceScrub", 5), counts, seed, progress)


def youtube_faces(
    root: Path,
    counts: Counts | None = YOUTUBE_FACES,
    seed: int = 0,
    train_each: int = 40,
    query_each: int = 5,
    progress: Progress | None = None,
) -> tuple[FaceSet, FaceSet]:
    """Read YouTube Faces from folders: a random draw of database images and queries per identity.

    The face fills the central half of a frame, which is cropped and resized to 32x32. Papers agree
    on the number of identities, which is checked, but not on the number of frames per identity.

    Args:
        root: folder with PERSON/VIDEO/frame.jpg, as in `aligned_images_DB`.
        counts: expected counts; None checks nothing.
        seed: seed of the draw.
        train_each: database images per identity.
        query_each: queries per identity.
        progress: called with photos read, their number, and the step.

    Returns:
        Database and queries.

    Raises:
        DataError: as of `facescrub`.
    """
    root = _folder(root)
    people = {
        person.name: [
            f for video in sorted(person.iterdir()) if video.is_dir() for f in _photos(video)
        ]
        for person in sorted(p for p in root.iterdir() if p.is_dir())
    }
    layout = Layout("YouTube Faces", query_each, train_each, crop=0.5)
    return _split(root, people, layout, counts, seed, progress)


def batches(
    train: Sequence[Path], query: Sequence[Path], counts: Counts | None = None
) -> tuple[FaceSet, FaceSet]:
    """Read 32x32 batches: .npz or .mat files with images and labels.

    Images (key "images", "data" or "x") are uint8 of shape (N, 32, 32, 3), (N, 3, 32, 32), MATLAB's
    (32, 32, 3, N), or (N, 3072) with planar channels as in CIFAR. Labels (key "labels", "label" or
    "y") are N integers.

    Args:
        train: files of the database.
        query: files of the queries.
        counts: expected counts; None checks nothing.

    Returns:
        Database and queries.

    Raises:
        DataError: a file is missing, a pickle or of another shape, counts differ, or an identity is
            in only one of the parts.
    """
    parts = []
    for what, files in (("train", train), ("query", query)):
        if not files:
            raise DataError(f"no {what} batches; expected at least one .npz or .mat file")
        read = [_batch(Path(f)) for f in files]
        names = [
            f"batches/{what}/{Path(f).name}-{i}"
            for f, (_, y) in zip(files, read, strict=True)
            for i in range(len(y))
        ]
        images = np.concatenate([x for x, _ in read])
        parts.append((images, np.concatenate([y for _, y in read]), names))
    known, asked = (np.unique(labels) for _, labels, _ in parts)
    if not np.array_equal(known, asked):
        raise DataError(
            f"batches: {len(np.setxor1d(known, asked))} labels occur in only one of train and query"
        )
    people = tuple(str(label) for label in known)
    sets = [
        FaceSet(images, np.searchsorted(known, labels), people, tuple(names))
        for images, labels, names in parts
    ]
    if counts is not None:
        counts.check("batches", *sets)
    return sets[0], sets[1]


def batch_folder(root: Path, counts: Counts | None = None) -> tuple[FaceSet, FaceSet]:
    """Read the batches of a folder: files named train* and test* or query*.

    Args:
        root: the folder.
        counts: as of `batches`.

    Returns:
        Database and queries.

    Raises:
        DataError: as of `batches`, or the folder is missing.
    """
    root = _folder(root)
    files = sorted(f for f in root.iterdir() if f.is_file())
    train = [f for f in files if f.name.lower().startswith("train")]
    query = [f for f in files if f.name.lower().startswith(("test", "query"))]
    return batches(train, query, counts)


def _folder(root: Path) -> Path:
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    return root


def _photos(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES)


def _split(
    root: Path,
    people: dict[str, list[Path]],
    layout: Layout,
    counts: Counts | None,
    seed: int,
    progress: Progress | None,
) -> tuple[FaceSet, FaceSet]:
    if not people:
        raise DataError(f"{root}: no folders of people in it")
    rng = np.random.default_rng(seed)
    train: list[tuple[int, Path]] = []
    query: list[tuple[int, Path]] = []
    for label, (person, photos) in enumerate(people.items()):
        if len(photos) <= layout.query_each:
            raise DataError(
                f"{layout.name}: {person} has {len(photos)} photos, {layout.query_each + 1} needed"
            )
        shuffled = [photos[i] for i in rng.permutation(len(photos))]
        asked, rest = shuffled[: layout.query_each], shuffled[layout.query_each :]
        query += [(label, f) for f in sorted(asked)]
        train += [(label, f) for f in sorted(rest[: layout.train_each])]
    total, done = len(train) + len(query), 0
    sets = []
    for part in (train, query):
        images = np.empty((len(part), SIDE, SIDE, 3), np.uint8)
        for i, (_, path) in enumerate(part):
            images[i] = _face(path, layout.crop)
            done += 1
            if progress is not None:
                progress(done, total, f"Reading {layout.name}")
        labels = np.array([label for label, _ in part], np.int64)
        names = tuple(str(path.relative_to(root)) for _, path in part)
        sets.append(FaceSet(images, labels, tuple(people), names))
    if counts is not None:
        counts.check(layout.name, *sets)
    return sets[0], sets[1]


def _face(path: Path, crop: float) -> np.ndarray:
    try:
        rgb = read_image(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
    side = max(1, round(crop * min(rgb.shape[:2])))
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = Image.fromarray(rgb[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) uint8 and labels (N,) int64 of one file."""
    arrays = _arrays(path)
    images, labels = _find(path, arrays, _IMAGES), _find(path, arrays, _LABELS)
    labels = np.ravel(labels)
    if images.dtype != np.uint8:
        raise DataError(f"{path}: expected uint8 images, got {images.dtype}")
    if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.round(labels)):
        raise DataError(f"{path}: labels must be whole numbers")
    count = len(labels)
    shapes: dict[tuple[int, ...], Callable[[], np.ndarray]] = {
        (count, SIDE, SIDE, 3): lambda: images,
        (count, 3, SIDE, SIDE): lambda: images.transpose(0, 2, 3, 1),
        (SIDE, SIDE, 3, count): lambda: images.transpose(3, 0, 1, 2),
        (count, 3 * SIDE * SIDE): lambda: images.reshape(count, 3, SIDE, SIDE).transpose(
            0, 2, 3, 1
        ),
    }
    if images.shape not in shapes:
        raise DataError(f"{path}: {count} labels do not fit images of shape {images.shape}")
    return np.ascontiguousarray(shapes[images.shape]()), labels.astype(np.int64)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not an .npz of plain arrays ({error})") from error
    if path.suffix == ".mat":
        from scipy.io import loadmat

        try:
            return {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
        # The last is what SciPy itself raises for version 7.3, which is HDF5.
        except (OSError, ValueError, TypeError, NotImplementedError) as error:
            raise DataError(
                f"{path}: not a .mat file up to version 7 ({error}); save it with -v7"
            ) from error
    raise DataError(
        f"{path}: expected .npz or .mat. A pickled batch can run any code when opened, so it is not"
        " read: convert it where you trust it, with numpy.savez(images=..., labels=...)"
    )


def _find(path: Path, arrays: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    for name in names:
        array = arrays.get(name)
        if array is not None:
            if array.dtype.hasobject:
                raise DataError(f"{path}: {name} holds objects, not numbers")
            return array
    raise DataError(f"{path}: no array named {' or '.join(names)}, but {sorted(arrays)}")
