"""Speed and memory on one core, each figure next to that of a peer measured in the same run.

The peers are common tools for the same task: dlib's face descriptor (behind `face_recognition`) for
encoding, facenet-pytorch's MTCNN for detection, a float database for search. Measurements of ours
and of the peer alternate, so that background load affects both.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import facenet_pytorch
import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut

from daah import codes
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import ConfigError
from daah.models.encoder import Encoder
from daah.parallel import Progress, one_thread
from daah.types import ALIGNED_SIZE

#: Side in pixels of the face that dlib's descriptor reads.
DLIB_SIZE = 150

#: Faces per batch.
BATCHES = (1, 32)

#: Rows of the database that is searched: a large private collection.
ROWS = 100_000

#: Code length, and dimensions of the float embedding that it is compared with.
BITS, FLOATS = 64, 128


@dataclass(frozen=True)
class Row:
    """One comparison; values are medians over the repeats.

    Attributes:
        what: what was measured.
        unit: unit of both values.
        ours: value of this project.
        peer: value of the peer.
        peer_name: name of the peer.
        repeats: number of measurements.
        better: whether lower or higher values are better.
    """

    what: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    repeats: int
    better: Literal["lower", "higher"] = "lower"


@dataclass(frozen=True)
class BenchReport:
    """Result of `bench`.

    Attributes:
        machine: processor, cores and versions, of `machine`.
        checkpoint: name and sha256 of the checkpoint.
        rows: the comparisons.
    """

    machine: dict[str, str | int]
    checkpoint: dict[str, str]
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {
            "machine": self.machine,
            "checkpoint": self.checkpoint,
            "rows": [asdict(row) for row in self.rows],
        }


def bench(
    encoder: Encoder,
    checkpoint: Path | None = None,
    repeats: int = 7,
    progress: Progress | None = None,
    batches: tuple[int, ...] = BATCHES,
) -> BenchReport:
    """Measure encoding, detection, search, and size and memory of the weights.

    Args:
        encoder: the encoder.
        checkpoint: the encoder's file, to measure its size and the memory of a process that runs
            it; None leaves these out.
        repeats: measurements per comparison.
        progress: called with steps done, their number, and the last step.
        batches: batch sizes of encoding, ascending; the throughput is that of the last.

    Returns:
        The comparisons.

    Raises:
        CheckpointError: `checkpoint` cannot be read.
        ConfigError: a peer is not installed; a figure without its peer says little.
        RuntimeError: the detector does not find the face of the test photo.
    """
    network = _dlib_network()
    photo = astronaut()
    detector = FaceDetector()
    face = principal_face(detector.detect(photo), photo.shape)
    if face is None:
        raise RuntimeError("the detector does not find the face in scikit-image's astronaut")
    stored = Row("stored per face", "bytes", BITS / 8, FLOATS * 4.0, "float32 embedding", 1)
    steps: list[Callable[[], Row]] = [
        *(lambda n=n: _encoding(encoder, network, face.aligned, n, repeats) for n in batches),
        lambda: _detection(detector, photo, repeats),
        lambda: _search(repeats),
        lambda: stored,
    ]
    if checkpoint is not None:
        steps += [
            lambda: _weights(checkpoint),
            lambda: _memory(checkpoint),
        ]
    rows = []
    with one_thread():
        for done, step in enumerate(steps, 1):
            rows.append(step())
            if progress is not None:
                progress(done, len(steps), rows[-1].what)
    rows.insert(len(batches), _throughput(rows[len(batches) - 1]))
    return BenchReport(
        machine(), {"name": encoder.name, "sha256": encoder.fingerprint}, tuple(rows)
    )


def machine() -> dict[str, str | int]:
    """What the figures depend on: processor, cores and versions, as plain JSON values."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": version("onnxruntime"),
        "numpy": np.__version__,
        "facenet_pytorch": version("facenet-pytorch"),
        "dlib": version("dlib-bin"),
    }


def alternate(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Time two functions in alternation, after one unmeasured call of each.

    Args:
        ours: the first function.
        peer: the second function.
        repeats: number of measurements of each.

    Returns:
        Median seconds of both.
    """
    ours()
    peer()
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, seconds in ((ours, spent[0]), (peer, spent[1])):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return statistics.median(spent[0]), statistics.median(spent[1])


def _encoding(
    encoder: Encoder,
    network: object,
    face: np.ndarray,
    batch: int,
    repeats: int,
) -> Row:
    faces = np.repeat(face[None], batch, axis=0)
    chip = np.asarray(Image.fromarray(face).resize((DLIB_SIZE, DLIB_SIZE)))
    chips = [chip] * batch
    ours, peer = alternate(
        lambda: encoder.encode(faces), lambda: network.compute_face_descriptor(chips), repeats
    )
    return Row(
        f"encode one face, batch {batch}",
        "ms",
        1000 * ours / batch,
        1000 * peer / batch,
        "dlib face_recognition_resnet_model_v1",
        repeats,
    )


def _throughput(row: Row) -> Row:
    """Milliseconds per face to faces per second."""
    return replace(
        row,
        what=row.what.replace("encode one face", "encode many faces"),
        unit="faces/s",
        ours=1000 / row.ours,
        peer=1000 / row.peer,
        better="higher",
    )


def _detection(detector: FaceDetector, photo: np.ndarray, repeats: int) -> Row:
    peer_detector = facenet_pytorch.MTCNN(keep_all=True, min_face_size=20)
    ours, peer = alternate(
        lambda: detector.detect(photo), lambda: peer_detector.detect(photo, landmarks=True), repeats
    )
    height, width = photo.shape[:2]
    return Row(
        f"detect faces, {width}x{height} photo",
        "ms",
        1000 * ours,
        1000 * peer,
        "facenet-pytorch MTCNN, smallest face 20 pixels, without aligning",
        repeats,
    )


def _search(repeats: int) -> Row:
    """The ten nearest of `ROWS` by a scan in NumPy, so that only the representation differs."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (ROWS, BITS // 8), dtype=np.uint8)
    floats = rng.standard_normal((ROWS, FLOATS), dtype=np.float32)

    def by_code() -> np.ndarray:
        return np.argpartition(codes.hamming(stored[:1], stored)[0], 10)[:10]

    def by_float() -> np.ndarray:
        return np.argpartition(-(floats @ floats[0]), 10)[:10]

    ours, peer = alternate(by_code, by_float, repeats)
    return Row(
        f"scan {ROWS:,} faces for the 10 nearest, numpy",
        "ms",
        1000 * ours,
        1000 * peer,
        f"{FLOATS} float32 a face, inner product",
        repeats,
    )


def _weights(checkpoint: Path) -> Row:
    return Row(
        "weights on disk",
        "MB",
        checkpoint.stat().st_size / 1e6,
        dlib_weights().stat().st_size / 1e6,
        "dlib face_recognition_resnet_model_v1",
        1,
    )


def _memory(checkpoint: Path) -> Row:
    """Peak memory of a new process that encodes one face."""
    return Row(
        "peak memory of a process that encodes one face",
        "MB",
        _peak(
            "from daah.models.encoder import load_encoder\n"
            f"face = np.zeros((1, {ALIGNED_SIZE}, {ALIGNED_SIZE}, 3), np.uint8)\n"
            "load_encoder(Path(sys.argv[1])).encode(face)",
            checkpoint,
        ),
        _peak(
            "import dlib\n"
            "network = dlib.face_recognition_model_v1(sys.argv[1])\n"
            f"network.compute_face_descriptor(np.zeros(({DLIB_SIZE}, {DLIB_SIZE}, 3), np.uint8))",
            dlib_weights(),
        ),
        "dlib face_recognition_resnet_model_v1, without PyTorch",
        1,
    )


def _peak(work: str, argument: Path) -> float:
    """Peak memory in megabytes of a new interpreter that runs `work` with sys.argv[1]."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{_PRELUDE}\n{work}\n{_PEAK_BYTES}", str(argument)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return int(ran.stdout.split()[-1]) / 1e6


_PRELUDE = "import sys\nfrom pathlib import Path\nimport numpy as np"

# Linux counts the memory of the parent process into ru_maxrss; VmHWM is of this program alone.
_PEAK_BYTES = """
status = Path("/proc/self/status")
if status.is_file():
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) * 1024)
else:
    import resource

    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def dlib_weights() -> Path:
    """File of dlib's face recognition network, from the PyPI package that contains it.

    The package is located without importing it: its import needs pkg_resources, which recent
    versions of setuptools lack.

    Returns:
        Path of the file.

    Raises:
        ConfigError: dlib or the package is not installed.
    """
    spec = find_spec("face_recognition_models")
    if spec is None or find_spec("dlib") is None:
        raise ConfigError(
            "bench compares with dlib, which is not installed; "
            "run: pip install dlib-bin face-recognition-models"
        )
    folder = Path(next(iter(spec.submodule_search_locations or [])))
    return folder / "models" / "dlib_face_recognition_resnet_model_v1.dat"


def _dlib_network():
    weights = dlib_weights()
    import dlib  # a development dependency, so not at the top of a file that the app may import

    return dlib.face_recognition_model_v1(str(weights))


def _processor() -> str:
    """The processor's name; Linux keeps it where `platform` does not look."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
