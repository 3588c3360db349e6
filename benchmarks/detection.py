"""Speed and recall of the detector next to facenet_pytorch's own `MTCNN.detect`, in the same run.

    python -m benchmarks.detection --json docs/results/detection.json
    python -m benchmarks.detection --photos TREE --name "Labeled Faces in the Wild"

Faces cut from a folder-per-person tree (ORL's, which come with a package, by default) are pasted on
large textured backgrounds: 1 to 8 a photo, 40 to 600 pixels wide. Both detectors see every photo.
Times are medians of alternating calls, on the wall clock and in processor seconds of all threads;
the second means more where other programs keep the processor busy. "full_result" is what a visitor
waits for: the photo is sent to the running page over HTTP, and the time ends when the answer with
faces, heatmaps, codes and matches has arrived whole.
"""

from __future__ import annotations

import argparse
import io
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from tqdm import tqdm

from benchmarks.report import write
from benchmarks.visitor import Visitor
from daah.data import sources
from daah.detection.detector import FaceDetector
from daah.gallery import Gallery, build
from daah.images import read_image
from daah.retrieval.loading import load_default_encoder
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.settings import Settings

SIZE = (1600, 1200)
SIDES = (40, 600)  # of a pasted face's box, in pixels
LIVE = (640, 480)
LIVE_FACE = 60  # side in pixels of the smallest face that the live view looks for


#: What is counted over all photos. Faces are the pasted ones, boxes what a detector draws; "other"
#: boxes are on none of the faces.
_COUNTS = (
    "faces",
    "found_by_package",
    "found",
    "package_faces_found",
    "other_boxes_package",
    "other_boxes",
    "boxes_of_package",
    "boxes_of_package_found",
)


@dataclass(frozen=True)
class Found:
    """Boxes (N, 4) and landmarks (N, 5, 2), float64, in pixels of the photo."""

    boxes: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True)
class Cutout:
    """A face with some of what is around it. box: (4,) of the face in `image`."""

    image: Image.Image
    box: np.ndarray


class Package:
    """facenet_pytorch's MTCNN with its default settings."""

    def __init__(self) -> None:
        self.mtcnn = MTCNN()

    def __call__(self, rgb: np.ndarray) -> Found:
        height, width = rgb.shape[:2]
        boxes, _, landmarks = self.mtcnn.detect(Image.fromarray(rgb), landmarks=True)
        if boxes is None:
            return Found(np.empty((0, 4)), np.empty((0, 5, 2)))
        clipped = np.clip(boxes.astype(float), 0, [width, height, width, height])
        return Found(clipped, landmarks.astype(float))


class Ours:
    """This project's detector with its default settings."""

    def __init__(self) -> None:
        self._detector = FaceDetector()

    def __call__(self, rgb: np.ndarray) -> Found:
        found = self._detector.locate(rgb)
        return Found(found.boxes.astype(float), found.landmarks.astype(float))


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes a (N, 4) and b (M, 4): (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    area = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return shared / (area[0][:, None] + area[1][None] - shared)


def has_partner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which boxes of a (N, 4) overlap one of b by half: (N,) bool."""
    return overlaps(a, b).max(axis=1, initial=0) >= 0.5


def cutouts(photos: list[np.ndarray], package: Package) -> list[Cutout]:
    """The largest face that the package finds in each photo, and half its size around it."""
    found = []
    for rgb in photos:
        boxes = package(rgb).boxes
        if not len(boxes):
            continue
        x0, y0, x1, y1 = boxes[0]
        grow = 0.5 * (x1 - x0)
        height, width = rgb.shape[:2]
        left, top = int(max(0, x0 - grow)), int(max(0, y0 - grow))
        right, bottom = int(min(width, x1 + grow)), int(min(height, y1 + grow))
        image = Image.fromarray(rgb[top:bottom, left:right])
        found.append(Cutout(image, boxes[0] - [left, top, left, top]))
    return found


def background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Coloured noise with detail at every scale, as foliage, cloth and walls have."""
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 8):
        cells = rng.normal(size=(max(2, 2**octave * height // width), 2**octave, 3))
        for channel in range(3):
            layer = Image.fromarray(cells[..., channel].astype(np.float32))
            grown = layer.resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(grown) * 1.6**-octave
    total = (total - total.mean()) / total.std() * rng.uniform(20, 50) + rng.uniform(80, 170)
    total += rng.normal(0, rng.uniform(0, 10), (height, width, 1))
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def compose(
    rng: np.random.Generator, faces: list[Cutout], count: int, size: tuple[int, int] = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """A photo (H, W, 3) uint8 with up to `count` faces, and their boxes (N, 4)."""
    photo = background(rng, *size)
    boxes, taken = [], []
    for _ in range(40 * count):
        if len(boxes) == count:
            break
        face = faces[rng.integers(len(faces))]
        side = np.exp(rng.uniform(*np.log(SIDES)))  # as many small faces as large ones
        scale = side / (face.box[2] - face.box[0])
        width, height = (round(length * scale) for length in face.image.size)
        if width > size[0] or height > size[1]:
            continue
        x, y = int(rng.integers(size[0] - width + 1)), int(rng.integers(size[1] - height + 1))
        place = np.array([[x, y, x + width, y + height]], float)
        if taken and overlaps(place, np.concatenate(taken)).max() > 0:
            continue
        photo.paste(face.image.resize((width, height), Image.Resampling.BICUBIC), (x, y))
        taken.append(place)
        boxes.append(face.box * scale + [x, y, x, y])
    return np.array(photo), np.array(boxes).reshape(-1, 4)


def measure_recall(
    package: Package, ours: Ours, faces: list[Cutout], photos: int, seed: int
) -> dict[str, float | int]:
    """Both detectors on the same composed photos."""
    total = dict.fromkeys(_COUNTS, 0)
    differences: list[float] = []
    for i in tqdm(range(photos), "photos", file=sys.stderr):
        rng = np.random.default_rng([seed, i])
        rgb, truth = compose(rng, faces, int(rng.integers(1, 9)))
        theirs, mine = package(rgb), ours(rgb)
        by_package, by_us = has_partner(truth, theirs.boxes), has_partner(truth, mine.boxes)
        large = theirs.boxes[:, 2] - theirs.boxes[:, 0] > SIDES[0]
        matched = has_partner(theirs.boxes, mine.boxes)
        total["faces"] += len(truth)
        total["found_by_package"] += int(by_package.sum())
        total["found"] += int(by_us.sum())
        total["package_faces_found"] += int((by_package & by_us).sum())
        total["other_boxes_package"] += int((~has_partner(theirs.boxes, truth)).sum())
        total["other_boxes"] += int((~has_partner(mine.boxes, truth)).sum())
        total["boxes_of_package"] += int(large.sum())
        total["boxes_of_package_found"] += int((large & matched).sum())
        for k in np.flatnonzero(matched):
            nearest = overlaps(theirs.boxes[k : k + 1], mine.boxes)[0].argmax()
            off = np.linalg.norm(theirs.landmarks[k] - mine.landmarks[nearest], axis=1).mean()
            differences.append(off / (theirs.boxes[k, 2] - theirs.boxes[k, 0]))
    return {
        **total,
        "same_faces_ratio": round(total["package_faces_found"] / total["found_by_package"], 4),
        "landmark_difference_median": round(float(np.median(differences)), 4),
    }


def measure_jitter(
    detectors: dict[str, Callable[[np.ndarray], Found]], faces: list[Cutout], seed: int
) -> dict[str, float]:
    """How far landmarks move when nothing but the frame does, in widths of the face.

    Eight copies of each face, cut up to eight pixels apart and zoomed by up to a quarter: the root
    mean square distance of the landmarks to their own mean, back in the first frame; the median.
    """
    rng = np.random.default_rng(seed)
    spread: dict[str, list[float]] = {name: [] for name in detectors}
    for face in tqdm(faces, "jitter", file=sys.stderr):
        width = face.box[2] - face.box[0]
        seen: dict[str, list[np.ndarray]] = {name: [] for name in detectors}
        for _ in range(8):
            corner = rng.integers(0, 9, 2)
            part = face.image.crop((*corner, *(corner + face.image.size - 8)))
            zoom = 100 / width * rng.uniform(0.8, 1.25)
            size = (round(part.width * zoom), round(part.height * zoom))
            photo = np.array(part.resize(size, Image.Resampling.BICUBIC))
            scale = np.array(size) / part.size
            for name, detect in detectors.items():
                found = detect(photo)
                if len(found.boxes):
                    seen[name].append(found.landmarks[0] / scale + corner)
        for name, landmarks in seen.items():
            if len(landmarks) == 8:
                squares = np.sum((np.stack(landmarks) - np.mean(landmarks, axis=0)) ** 2, axis=-1)
                spread[name].append(float(np.sqrt(squares.mean()) / width))
    return {name: round(float(np.median(values)), 5) for name, values in spread.items()}


def clocked(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of each call, on the wall and of processors; the calls alternate."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in tqdm(range(repeats + 2), "times", file=sys.stderr):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            if turn >= 2:  # the first calls also load and plan
                passed = time.perf_counter() - wall, time.process_time() - processor
                times[name].append(passed)
    return {
        name: dict(
            zip(("wall_ms", "processor_ms"), np.round(np.median(t, 0) * 1e3, 1), strict=True)
        )
        for name, t in times.items()
    }


def measure_speed(package: Package, faces: list[Cutout], repeats: int, seed: int) -> dict:
    """Times on a 1600x1200 photo with one face, and on a frame of the live view."""
    rng = np.random.default_rng([seed, 10**6])
    rgb, _ = compose(rng, faces, 1)
    frame, _ = compose(rng, faces, 1, LIVE)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=92)
    upload, image = stream.getvalue(), Image.fromarray(rgb)
    detector, live, mtcnn = FaceDetector(), FaceDetector(min_face=LIVE_FACE), package.mtcnn
    frame_image = Image.fromarray(frame)
    with running_page() as url:
        visitor = Visitor(url)
        times = clocked(
            {
                "package_detect": lambda: mtcnn.detect(image),
                "detect": lambda: detector.detect(rgb),
                "read_and_detect": lambda: detector.detect(read_image(upload)),
                "full_result": lambda: ask(visitor, upload),
                "package_detect_640x480": lambda: mtcnn.detect(frame_image),
                "detect_640x480": lambda: detector.detect(frame),
                f"detect_640x480_from_{LIVE_FACE}_px": lambda: live.detect(frame),
            },
            repeats,
        )
    ratios = {
        name: {
            clock: round(times[name][clock] / times["package_detect"][clock], 3)
            for clock in ("wall_ms", "processor_ms")
        }
        for name in ("read_and_detect", "full_result")
    }
    return {**times, "ratio_to_package_detect": ratios}


@contextmanager
def running_page() -> Iterator[str]:
    """The page over the shipped model and ORL's gallery, in this process; its address."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_default_encoder()
        with Gallery.open(Path(folder) / "orl", encoder) as gallery:
            build(gallery, "orl", FaceDetector(), encoder)
            demo = build_app(FaceRetriever(FaceDetector(), encoder, gallery), Settings())
            _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
            yield url
            demo.close()


def ask(visitor: Visitor, upload: bytes) -> None:
    """Send a photo with one face to the page and take in the whole answer."""
    found = visitor.send("photo", "input", {"photo": visitor.photo("photo.jpg", upload)})
    if "1 face found." not in str(found.values.get("sentence")):
        raise RuntimeError(f"expected one face, got {found.error or found.values.get('sentence')}")


def labelled_photos(tree: Path | None, count: int, seed: int) -> list[np.ndarray]:
    """`count` photos of a folder-per-person tree, or of ORL."""
    rng = np.random.default_rng(seed)
    if tree is None:
        every = list(sources.orl())
        return [every[i].rgb for i in rng.permutation(len(every))[:count]]
    paths = [path for _, path in sources.folder(tree)]
    return [read_image(paths[i]) for i in rng.permutation(len(paths))[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, help="folder-per-person tree to take faces from")
    parser.add_argument("--name", help="what the report calls that tree")
    parser.add_argument("--count", type=int, default=100, help="composed photos")
    parser.add_argument("--faces", type=int, default=200, help="photos to take faces from")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each kind")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; the detector has one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    package, ours = Package(), Ours()
    faces = cutouts(labelled_photos(given.photos, given.faces, given.seed), package)
    report = {
        "data": given.name or (given.photos.name if given.photos else "ORL"),
        "photo": f"{SIZE[0]}x{SIZE[1]}",
        "threads": given.threads,
        "torch": torch.__version__,
        "onnxruntime": version("onnxruntime"),
        "machine": platform.machine(),
        "speed": measure_speed(package, faces, given.repeats, given.seed),
        "recall": measure_recall(package, ours, faces, given.count, given.seed),
        "landmark_jitter": measure_jitter(
            {"package": package, "ours": ours}, faces[:60], given.seed
        ),
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
