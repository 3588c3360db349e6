"""Labelled faces from a folder-per-person tree of photos, ready to be encoded and evaluated.

Axes: N = faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data import sources, splits
from daah.detection.alignment import TEMPLATE
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import DataError, ImageError
from daah.images import read_image
from daah.parallel import Progress, in_order
from daah.types import ALIGNED_SIZE, Face


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """The principal face of every photo of a tree that has one, by person and file name.

    Attributes:
        aligned: (N, 224, 224, 3) uint8 RGB.
        labels: (N,) str, name of the person's folder.
        paths: paths of the N photos.
        landmarks: (N, 5, 2) float32 in pixels of the photo.
        width: (N,) float32, width of the face's box in pixels of the photo; NaN if unknown.
        matrix: (N, 2, 3) float32, similarity transform photo -> aligned.
        skipped: photos without a face, each with the reason.
        people: number of folders with at least one photo.
    """

    aligned: np.ndarray
    labels: np.ndarray
    paths: tuple[Path, ...]
    landmarks: np.ndarray
    width: np.ndarray
    matrix: np.ndarray
    skipped: tuple[tuple[Path, str], ...]
    people: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def photos(self) -> int:
        """Photos in the tree, with and without a face."""
        return len(self.labels) + len(self.skipped)

    @property
    def aligned_landmarks(self) -> np.ndarray:
        """The landmarks (N, 5, 2) float32 in the aligned frame."""
        turned = np.einsum("nij,nkj->nki", self.matrix[:, :, :2], self.landmarks)
        return turned + self.matrix[:, None, :, 2]


def read_faces(
    folder: Path,
    aligned: bool = False,
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
    fold: int | None = None,
) -> LabelledFaces:
    """Read the faces of a tree of photos, or of aligned crops.

    Args:
        folder: tree with one folder per person.
        aligned: whether the tree holds crops as `prepare` writes them.
        detector: for photos; None creates one.
        progress: called with photos done, their number, and the step.
        fold: 0 to 4 reads only the people of that fold (`data.splits.fold`); None reads all.

    Returns:
        The faces.

    Raises:
        DataError: as of `detect_faces` and `read_aligned`.
    """
    if aligned:
        return read_aligned(folder, progress, fold)
    return detect_faces(folder, detector, progress, fold)


def detect_faces(
    folder: Path,
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
    fold: int | None = None,
    kept_out: bool = False,
) -> LabelledFaces:
    """Detect the principal face of every photo of a tree.

    A photo that has no face or cannot be read is skipped, and named in the result.

    Args:
        folder: tree with one folder per person.
        detector: None creates one.
        progress: called with photos done, their number, and the step.
        fold: 0 to 4 reads only the people of that fold (`data.splits.fold`); None reads all.
        kept_out: whether to read only the people of `data.splits.is_kept_out`.

    Returns:
        The faces.

    Raises:
        DataError: the tree or the part that is read has no photos, or none has a face.
    """
    listed = _photos(folder, fold)
    if kept_out:
        listed = [(person, path) for person, path in listed if splits.is_kept_out(person)]
    if not listed:
        raise DataError(f"{folder}: nobody is of the training people who are kept out")
    detector = detector or FaceDetector()

    def find(entry: tuple[str, Path]) -> Face | str:
        try:
            rgb = read_image(entry[1])
        except ImageError as error:
            return str(error)
        return principal_face(detector.detect(rgb), rgb.shape) or "no face was found"

    found = list(in_order(find, listed, "Finding faces", progress))
    kept = [i for i, face in enumerate(found) if isinstance(face, Face)]
    if not kept:
        raise DataError(f"{folder}: no face was found in any of {len(listed)} photos")
    return LabelledFaces(
        aligned=np.stack([found[i].aligned for i in kept]),
        labels=np.array([listed[i][0] for i in kept]),
        paths=tuple(listed[i][1] for i in kept),
        landmarks=np.stack([found[i].landmarks for i in kept]),
        width=np.array([found[i].width for i in kept], np.float32),
        matrix=np.stack([found[i].matrix for i in kept]),
        skipped=tuple(
            (listed[i][1], face) for i, face in enumerate(found) if isinstance(face, str)
        ),
        people=len({person for person, _ in listed}),
    )


def read_aligned(
    folder: Path, progress: Progress | None = None, fold: int | None = None
) -> LabelledFaces:
    """Read a tree of aligned 224x224 crops, as `prepare` writes them.

    Args:
        folder: tree with one folder per person.
        progress: called with crops done, their number, and the step.
        fold: 0 to 4 reads only the people of that fold (`data.splits.fold`); None reads all.

    Returns:
        The faces, with the template's landmarks and NaN as `width`.

    Raises:
        DataError: the tree or the fold has no crops, or a crop cannot be read or has another size,
            which in a prepared tree is damage.
    """
    listed = _photos(folder, fold)

    def read(entry: tuple[str, Path]) -> np.ndarray:
        try:
            crop = read_image(entry[1])
        except ImageError as error:
            raise DataError(f"{entry[1]}: {error}") from error
        if crop.shape != (ALIGNED_SIZE, ALIGNED_SIZE, 3):
            raise DataError(
                f"{entry[1]}: expected an aligned crop of {ALIGNED_SIZE}x{ALIGNED_SIZE} pixels, "
                f"got {crop.shape[1]}x{crop.shape[0]}; for photos leave --aligned out"
            )
        return crop

    crops = list(in_order(read, listed, "Reading faces", progress))
    count = len(crops)
    return LabelledFaces(
        aligned=np.stack(crops),
        labels=np.array([person for person, _ in listed]),
        paths=tuple(path for _, path in listed),
        landmarks=np.repeat(TEMPLATE[None], count, axis=0),
        width=np.full(count, np.nan, np.float32),
        matrix=np.repeat(np.eye(2, 3, dtype=np.float32)[None], count, axis=0),
        skipped=(),
        people=len({person for person, _ in listed}),
    )


def _photos(folder: Path, fold: int | None) -> list[tuple[str, Path]]:
    """Person and path of every photo, or of those of one fold."""
    listed = list(sources.folder(folder))
    if fold is None:
        return listed
    chosen = [(person, path) for person, path in listed if splits.fold(person) == fold]
    if not chosen:
        raise DataError(f"{folder}: none of its people is in fold {fold}")
    return chosen
