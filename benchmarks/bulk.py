"""Enrolling a long manifest with broken files, killed on the way: exact, and in flat memory?

    python -m benchmarks.bulk --json docs/results/bulk.json
    python -m benchmarks.bulk --photos 400 --real

The manifest lists the photos of ORL again and again, each time of another person, and of a hundred
lines one whose file is missing, empty, cut off or no photo. Enrolling it is ended by SIGKILL twice
and started again. Then the refusals are compared with what was broken, and the gallery with the
rest. What is measured is all but the networks: reading, decoding, worker processes, thumbnails and
the store. The faces are the whole photos and the codes random projections of them, because the
networks take most of the time and none of the memory that could grow; `--real` takes them as well.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.report import write
from daah.data import sources
from daah.detection.alignment import TEMPLATE
from daah.detection.detector import FaceDetector
from daah.gallery import Gallery, enrol, manifest, verify
from daah.gallery.names import entry_id
from daah.models.encoder import FaceEncoder
from daah.types import ALIGNED_SIZE, Face

ROOT = Path(__file__).resolve().parents[1]
BROKEN_EVERY = 100
BITS = 128


# --- stand-ins for the networks -----------------------------------------------------------------


class WholePhoto:
    """Takes each photo for one face."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """One face, as FaceDetector.detect."""
        height, width = rgb.shape[:2]
        aligned = np.asarray(Image.fromarray(rgb).resize((ALIGNED_SIZE, ALIGNED_SIZE)))
        scale = np.array([width, height], np.float32) / ALIGNED_SIZE
        matrix = np.array([[1 / scale[0], 0, 0], [0, 1 / scale[1], 0]], np.float32)
        box = np.array([0, 0, width, height], np.float32)
        return [Face(box, (TEMPLATE * scale).astype(np.float32), 1.0, aligned, matrix)]


class Projection:
    """Random projections of a small grey copy."""

    name, fingerprint, bits = "projection", "f" * 64, BITS
    calibration = None

    def __init__(self) -> None:
        self._weight = np.random.default_rng(0).normal(size=(14 * 14, BITS)).astype(np.float32)

    def encode(self, aligned: np.ndarray, attention: object = "off") -> tuple[np.ndarray, ...]:
        """Logits (N, BITS) float32 and masks (N, 14, 14) float32, as FaceEncoder.encode."""
        cells = aligned.mean(3).reshape(len(aligned), 14, 16, 14, 16).mean((2, 4))
        cells = cells.reshape(len(aligned), -1).astype(np.float32)
        centred = cells - cells.mean(1, keepdims=True)
        masks = np.ones((len(aligned), 14, 14), np.float32)
        return centred @ self._weight, masks

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: object = "off"
    ) -> tuple[np.ndarray, ...]:
        """The same, and the faces (N, 224, 224, 3) uint8 as they are."""
        return *self.encode(aligned, attention), aligned


def encoder(real: bool) -> FaceEncoder | Projection:
    """The shipped network or its stand-in."""
    if not real:
        return Projection()
    from daah.retrieval.loading import load_default_encoder

    return load_default_encoder()


# --- the manifest -------------------------------------------------------------------------------


def write_manifest(folder: Path, photos: int, real: bool) -> dict[int, tuple[str, str]]:
    """Photos and `manifest.csv`; gives back person and photo by line of the broken ones.

    real: list only photos in which the detector finds a face.
    """
    names = []
    detector = FaceDetector() if real else WholePhoto()
    for photo in sources.orl():
        if not detector.detect(photo.rgb):
            continue
        (folder / photo.person).mkdir(exist_ok=True)
        names.append(f"{photo.name}.jpg")
        Image.fromarray(photo.rgb).save(folder / names[-1], quality=90)
    whole = (folder / names[0]).read_bytes()
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no photo")
    kinds = ["missing.jpg", "empty.jpg", "cut.jpg", "text.jpg"]
    broken = {}
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["person", "photo"])
        for number in range(photos):
            person, photo = f"person {number:07}", names[number % len(names)]
            if number % BROKEN_EVERY == BROKEN_EVERY // 2:
                photo = kinds[number // BROKEN_EVERY % len(kinds)]
                broken[number] = (person, photo)
            lines.writerow([person, photo])
    return broken


# --- one run, in a process that can be killed -----------------------------------------------------


def run(folder: Path, workers: int, real: bool, **options: Any) -> dict[str, int]:
    """Enrol the manifest; how many photos were seen, added, and present before.

    options: more arguments of `bulk.add`.
    """
    model = encoder(real)
    with (
        Gallery.open(folder / "gallery", model) as gallery,
        (folder / "refused.jsonl").open("w", encoding="utf-8") as refused,
    ):
        report = enrol.add(
            gallery,
            manifest.listing(folder / "manifest.csv"),
            model,
            workers=workers,
            make_detector=FaceDetector if real else WholePhoto,
            refused=lambda what: print(json.dumps([what.photo, what.reason]), file=refused),
            **options,
        )
    return {"seen": report.seen, "added": report.added, "present": report.present}


class Watched:
    """A run that is watched: how far it is, and the memory of it and of its workers."""

    def __init__(self, folder: Path, workers: int, real: bool) -> None:
        command = [sys.executable, "-m", "benchmarks.bulk", "--run", str(folder)]
        command += ["--workers", str(workers)] + ["--real"] * real
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.memory: list[float] = []
        self.last = ""
        self._seen: set[psutil.Process] = set()

    def until(self, photos: int | None = None) -> None:
        """Return when so many photos are done, or at the end."""
        noted = 0.0
        for line in self.process.stdout:
            self.last = line
            if not line.strip().isdecimal():
                continue
            if time.monotonic() - noted > 0.5:
                noted = time.monotonic()
                self.memory.append(self._megabytes())
            if photos is not None and int(line) >= photos:
                return

    def kill(self) -> int:
        """SIGKILL to the run alone; gives back how many of its workers live on 10 seconds later."""
        self._megabytes()
        self.process.kill()
        self.process.wait()
        return len(psutil.wait_procs(self._seen, timeout=10)[1])

    def _megabytes(self) -> float:
        try:
            own = psutil.Process(self.process.pid)
            workers = own.children(recursive=True)
            self._seen.update(workers)
            return round(sum(p.memory_info().rss for p in [own, *workers]) / 1e6, 1)
        except psutil.NoSuchProcess:
            return 0.0


# --- the whole ------------------------------------------------------------------------------------


def outcome(
    folder: Path, photos: int, broken: dict[int, tuple[str, str]], real: bool
) -> dict[str, object]:
    """Whether the refusals of the last run are what was broken, and the gallery is the rest.

    broken: as from `write_manifest`.
    """
    refused = [json.loads(x) for x in (folder / "refused.jsonl").read_text().splitlines()]
    with Gallery.open(folder / "gallery", encoder(real), read_only=True) as gallery:
        found = [gallery.store.get(b.ids) for b in gallery.store.scan()]
        checked = verify(gallery)
    people = [meta.person for batch in found for meta in batch.meta]
    expected = {f"person {number:07}" for number in range(photos) if number not in broken}
    reasons = collections.Counter(reason for _, reason in refused)
    return {
        "refused_by_reason": dict(sorted(reasons.items())),
        "refusals_exact": sorted(photo for photo, _ in refused)
        == sorted(photo for _, photo in broken.values()),
        "gallery_exact": len(people) == len(expected) and set(people) == expected,
        "ids_exact": all(
            id_ == entry_id(meta.person, meta.photo)
            for batch in found
            for id_, meta in zip(batch.ids.tolist(), batch.meta, strict=True)
        ),
        "faces_missing_or_damaged": len(checked.missing) + len(checked.damaged),
    }


def measure(folder: Path, photos: int, workers: int, real: bool) -> dict[str, object]:
    """Two kills and an end, and what came of it."""
    broken = write_manifest(folder, photos, real)
    left, memory, started = 0, [], time.perf_counter()
    for share in (1 / 3, 2 / 3):
        watched = Watched(folder, workers, real)
        watched.until(int(share * photos))
        left += watched.kill()
        memory.append(ends(watched.memory))
    watched = Watched(folder, workers, real)
    watched.until()
    memory.append(ends(watched.memory))
    if watched.process.wait():
        raise SystemExit("the last run failed")
    seconds = time.perf_counter() - started
    found = outcome(folder, photos, broken, real)
    refused = sum(found["refused_by_reason"].values())
    return {
        "photos": photos,
        "broken": len(broken),
        "workers": workers,
        "networks": real,
        "kills": 2,
        "workers_left_by_kills": left,
        "seconds": round(seconds, 1),
        "photos_a_second": round(photos / seconds, 1),
        "last_run": json.loads(watched.last) | {"refused": refused},
        **found,
        "memory_mb_of_each_run": memory,
    }


def ends(memory: list[float]) -> dict[str, float]:
    """Medians of the first and the last tenth of the samples, the start left out."""
    memory = memory[len(memory) // 20 :]
    part = max(len(memory) // 10, 1)
    return {
        "first_tenth": round(float(np.median(memory[:part])), 1),
        "last_tenth": round(float(np.median(memory[-part:])), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=lambda text: int(float(text)), default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="with the detector and the network")
    parser.add_argument("--folder", type=Path, help="to work in; a temporary one by default")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args()
    if given.run:
        tell = lambda done, *_: print(done, flush=True)  # noqa: E731
        print(json.dumps(run(given.run, given.workers, given.real, progress=tell)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        report = measure(Path(folder), given.photos, given.workers, given.real)
    write(report, given.json)


if __name__ == "__main__":
    main()
