r"""Our code beside vector quantisers of as many bytes, fitted on the same embeddings and people.

    python -m benchmarks.equal_bytes --train FACES/lfw --train FACES/celebrities \
        --images LFW --fold 1 --name "LFW, validation people" --embeddings embeddings.npz

`--train` are trees of aligned faces, as `prepare` writes them; of the first one only folds 2 to 4
are taken (`data.splits`). `--images` are photos of other people. `--embeddings` keeps what the
network gave between runs, most of whose time it takes. One pass of the network gives the
embedding (256 floats of length 1, what the hash layer reads) and the logits (256 floats, whose
signs are our code). The hash layer is linear and was fitted with the names of the training people;
every rival is fitted on the embeddings, without names, and once more on the logits, which have the
names in them.

Symmetric: both faces are stored codes. Asymmetric: the query keeps its floats. Every row of mAP is
leave-one-out (protocol 1); FNIR is open-set identification with one photo enrolled (protocol 3).

Time is one query against a million codes on one thread, ten matches, by that thread's processor
clock. Calls alternate between the engines, and quotients compare calls of one round with the
Hamming scan of our code of as many bytes, or of 32 where there is none.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.quality import on_stderr
from benchmarks.report import write
from benchmarks.stores import alternating, quotient, summary
from daah import codes, metrics
from daah.data import splits
from daah.data.labelled_faces import LabelledFaces, detect_faces, read_aligned
from daah.errors import DataError
from daah.evaluation.dlib_itq import itq
from daah.evaluation.encoding import BATCH
from daah.evaluation.open_set import LEVELS, enrol, nearest_people
from daah.evaluation.speed import machine
from daah.metrics.leave_one_out import normalised, queries_with_mates
from daah.models.checkpoint import load_checkpoint
from daah.models.ddah import DemoDDAH
from daah.parallel import in_order

#: Bytes per face that are compared.
SIZES = (8, 16, 32)

#: Stored codes that a query is timed against.
STORED = 1_000_000

#: The same of floats, a kilobyte each.
STORED_FLOATS = 100_000

#: Rows that are encoded for timing; the rest are copies of them.
_ENCODED = 20_000

#: Photos of one training person, the first by name: a few people have hundreds.
_PHOTOS = 100

_BLOCK = 256

#: An engine that is ready to be timed: number of stored rows, and a search by number of the query.
Timed = tuple[int, Callable[[int], object]]


@dataclass(frozen=True, eq=False)
class Embedded:
    """Faces after the network: embedding (N, 256), logits (N, 256), labels (N,) str."""

    embedding: np.ndarray
    logits: np.ndarray
    labels: np.ndarray

    def floats(self, kind: str) -> np.ndarray:
        """(N, 256) float32 of length 1: "embedding" or "logits"."""
        return normalised(getattr(self, kind))


@dataclass(frozen=True, eq=False)
class Rival:
    """A representation: its distances between all faces of a set, and its engines for timing.

    Attributes:
        method: its name.
        fitted_on: "embedding" or "logits".
        bytes: per stored face.
        symmetric: (N, N) distances of stored codes; None where it has none.
        asymmetric: (N, N) distances of floats (rows) to stored codes; None where it has none.
        engines: by kind of distance, faiss's own scan.
    """

    method: str
    fitted_on: str
    bytes: int
    symmetric: np.ndarray | None
    asymmetric: np.ndarray | None
    engines: dict[str, Timed]


# --- data ---------------------------------------------------------------------------------------


def embed(model: DemoDDAH, aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and logits of aligned faces (N, 224, 224, 3) uint8."""

    @torch.inference_mode()
    def run(start: int) -> tuple[np.ndarray, np.ndarray]:
        faces = torch.from_numpy(aligned[start : start + BATCH]).permute(0, 3, 1, 2).float()
        embedding, _ = model.embedding(torch.nn.functional.avg_pool2d(faces, 2), lambda own: own)
        return embedding.numpy(), model.hash(embedding).numpy()

    parts = list(in_order(run, range(0, len(aligned), BATCH), "Encoding", on_stderr))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def embedded(model: DemoDDAH, faces: LabelledFaces, rows: np.ndarray | None = None) -> Embedded:
    """Faces, or some of them, after the network."""
    rows = np.arange(len(faces)) if rows is None else rows
    return Embedded(*embed(model, faces.aligned[rows]), faces.labels[rows])


def training_faces(model: DemoDDAH, trees: Sequence[Path], but: set[str]) -> Embedded:
    """Faces of training people in prepared trees, without the people of the evaluation."""
    parts = []
    for place, tree in enumerate(trees):
        faces = read_aligned(tree, on_stderr)
        kept = np.array([
            person not in but
            and (place > 0 or splits.fold(person) not in (splits.VALIDATION_FOLD, splits.TEST_FOLD))
            for person in faces.labels
        ])  # fmt: skip
        rows = np.flatnonzero(kept)
        _, person = np.unique(faces.labels[rows], return_inverse=True)
        earlier = np.array([(person[:i] == person[i]).sum() for i in range(len(rows))])
        parts.append(embedded(model, faces, rows[earlier < _PHOTOS]))
    return Embedded(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("embedding", "logits", "labels"))
    )  # fmt: skip


def write_embeddings(path: Path, fingerprint: str, train: Embedded, test: Embedded) -> None:
    """Keep what the network gave."""
    parts = {f"{name}_{key}": value for name, part in (("train", train), ("test", test))
             for key, value in vars(part).items()}  # fmt: skip
    np.savez(path, fingerprint=fingerprint, **parts)


def read_embeddings(path: Path, fingerprint: str) -> tuple[Embedded, Embedded]:
    """What `write_embeddings` kept. Raises DataError if it is another network's."""
    with np.load(path, allow_pickle=False) as kept:
        if str(kept["fingerprint"]) != fingerprint:
            raise DataError(f"{path}: kept of another checkpoint; name another file")
        names = Embedded.__dataclass_fields__
        train, test = (
            Embedded(**{key: kept[f"{part}_{key}"] for key in names}) for part in ("train", "test")
        )
    return train, test


# --- representations ----------------------------------------------------------------------------


def binary(method: str, fitted_on: str, logits: np.ndarray, bits: int) -> Rival:
    """Signs of the first logits."""
    packed = codes.from_logits(logits, bits)
    return Rival(
        method,
        fitted_on,
        bits // 8,
        codes.hamming(packed, packed),
        codes.normalised_asymmetric(logits[:, :bits], packed),
        {"symmetric": _hamming(packed), "asymmetric": _signs(logits[:, :bits], packed)},
    )


def quantised(
    method: str, fitted_on: str, index: Any, fit: np.ndarray, x: np.ndarray
) -> Rival:  # fmt: skip
    """A faiss index that is fitted here; the stored code is what its `sa_encode` writes."""
    index.train(fit)
    stored = index.sa_encode(x)
    decoded = index.sa_decode(stored)
    index.add(x)
    engines = {"asymmetric": _filled(index, x)}
    if isinstance(_inner(index), faiss.IndexPQ):
        engines["symmetric"] = _filled(index, x, pairs=True)
    return Rival(
        method, fitted_on, stored.shape[1], _squared(decoded, decoded), searched(index, x), engines
    )


def fast_scan(fitted_on: str, size: int, fit: np.ndarray, x: np.ndarray) -> Rival:
    """Product quantisation with 4 bits per part, whose tables stay in registers."""
    plain = faiss.IndexPQ(x.shape[1], 2 * size, 4)
    plain.train(fit)
    decoded = plain.sa_decode(plain.sa_encode(x))
    plain.add(x)
    index = faiss.IndexPQFastScan(plain)
    many = faiss.clone_index(plain)
    many.reset()
    many.add_sa_codes(_copies(plain.sa_encode(x), STORED))
    timed = faiss.IndexPQFastScan(many)
    return Rival(
        "PQ, 4 bits per part", fitted_on, size, _squared(decoded, decoded), searched(index, x),
        {"asymmetric": (STORED, _asking(timed, x))},
    )  # fmt: skip


def rabitq(fitted_on: str, dimensions: int, fit: np.ndarray, x: np.ndarray) -> Rival:
    """RaBitQ (Gao and Long, SIGMOD 2024) with a query of 4 bits per dimension.

    Principal directions, centred and rotated at random, then one bit per dimension and two floats
    per face. Its symmetric distance is the Hamming distance of the bits alone.
    """
    turn = faiss.PCAMatrix(x.shape[1], dimensions, 0, True)
    index = faiss.IndexPreTransform(turn, faiss.IndexRaBitQ(dimensions, faiss.METRIC_L2))
    index.train(fit)
    stored = index.sa_encode(x)
    signs = np.ascontiguousarray(stored[:, : dimensions // 8])
    index.add(x)
    many = faiss.clone_index(_inner(index))
    many.reset()
    many.add_sa_codes(_copies(stored, STORED))
    timed = faiss.IndexRaBitQFastScan(many)
    return Rival(
        "RaBitQ", fitted_on, stored.shape[1], codes.hamming(signs, signs), searched(index, x),
        {"asymmetric": (STORED, _asking(timed, turn.apply(x)))},
    )  # fmt: skip


def floats(fitted_on: str, x: np.ndarray) -> Rival:
    """All numbers as they are, cosine."""
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(_copies(x, STORED_FLOATS))
    timed = {"symmetric": (STORED_FLOATS, _asking(index, x))}
    return Rival("floats", fitted_on, 4 * x.shape[1], 1 - x @ x.T, None, timed)


def rivals(train: Embedded, test: Embedded) -> Iterator[Rival]:
    """Every representation in turn, ours first."""
    for size in SIZES:
        yield binary("this project", "logits", test.logits, 8 * size)
    for size in SIZES:
        found = itq(train.embedding.astype(np.float64), test.embedding, 8 * size)
        yield binary("ITQ", "embedding", found.astype(np.float32), 8 * size)
    for kind in ("embedding", "logits"):
        fit, x = train.floats(kind), test.floats(kind)
        width = x.shape[1]
        for size in SIZES:
            yield quantised("PQ", kind, faiss.IndexPQ(width, size, 8), fit, x)
        for size in SIZES:
            turned = faiss.IndexPreTransform(_rotation(width, size), faiss.IndexPQ(width, size, 8))
            yield quantised("OPQ", kind, turned, fit, x)
        for size in SIZES:
            yield fast_scan(kind, size, fit, x)
        for dimensions in (64, 192, 256):
            yield rabitq(kind, dimensions, fit, x)
        for dimensions in (16, 32, 64, 256):
            scalar = faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_4bit)
            if dimensions < width:
                scalar = faiss.IndexPreTransform(faiss.PCAMatrix(width, dimensions), scalar)
            yield quantised("scalar, 4 bits", kind, scalar, fit, x)
        yield floats(kind, x)


def _rotation(width: int, size: int) -> Any:
    """OPQ's, by 20 rounds of alternation."""
    rotation = faiss.OPQMatrix(width, size)
    rotation.niter = 20
    return rotation


def searched(index: Any, x: np.ndarray) -> np.ndarray:
    """Distances (N, N) that an index with all of x gives its rows as queries."""
    found, rows = index.search(x, len(x))
    distances = np.full((len(x), len(x)), np.inf, np.float32)
    np.put_along_axis(distances, rows, found, 1)
    if not np.isfinite(distances).all():
        raise RuntimeError(f"{type(index).__name__} left rows out")
    return distances


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (N, M) of rows."""
    between = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
    return np.maximum(between, 0, dtype=np.float32)


# --- timing -------------------------------------------------------------------------------------


def _copies(rows: np.ndarray, count: int) -> np.ndarray:
    """So many rows, the given ones again and again."""
    return np.ascontiguousarray(np.resize(rows[:_ENCODED], (count, rows.shape[1])))


def _asking(index: Any, queries: np.ndarray) -> Callable[[int], object]:
    return lambda number: index.search(queries[number % len(queries)][None], 10)


def _hamming(packed: np.ndarray) -> Timed:
    index = faiss.IndexBinaryFlat(8 * packed.shape[1])
    index.add(_copies(packed, STORED))
    return STORED, _asking(index, packed)


def _signs(logits: np.ndarray, packed: np.ndarray) -> Timed:
    """Asymmetric distance to signs is product quantisation whose parts are bytes of -1 and 1."""
    index = faiss.IndexPQ(logits.shape[1], packed.shape[1], 8, faiss.METRIC_INNER_PRODUCT)
    corners = np.where(codes.unpack(np.arange(256, dtype=np.uint8)[:, None], 8), 1.0, -1.0)
    centres = np.tile(corners.astype(np.float32), (packed.shape[1], 1))
    faiss.copy_array_to_vector(centres.ravel(), index.pq.centroids)
    index.is_trained = True
    index.add_sa_codes(_copies(packed, STORED))
    return STORED, _asking(index, normalised(logits))


def _filled(index: Any, x: np.ndarray, pairs: bool = False) -> Timed:
    """A copy of an index with a million codes. pairs: queries are codes as well (IndexPQ)."""
    many = faiss.clone_index(index)
    many.reset()
    inner = _inner(many)
    inner.add_sa_codes(_copies(index.sa_encode(x), STORED))
    many.ntotal = STORED
    if pairs:
        inner.pq.compute_sdc_table()
        inner.search_type = faiss.IndexPQ.ST_SDC
    return STORED, _asking(many, x)


def _inner(index: Any) -> Any:
    """The index behind a transformation, or the index itself."""
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.downcast_index(index.index)
    return index


def nanoseconds(
    timed: Timed, base: Timed, seconds: float, clock: Callable[[], float] = time.thread_time
) -> tuple[float, float]:
    """Nanoseconds per comparison, and their multiple of those of the base, of the same rounds."""
    (rows, call), (base_rows, base_call) = timed, base
    blocks = alternating({"it": call, "base": base_call}, seconds, block=3, clock=clock)
    per_row = summary(blocks)["it"] * 1e6 / rows
    return per_row, quotient(blocks, "it", "base") * base_rows / rows


# --- scores -------------------------------------------------------------------------------------


def scores(distances: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Protocols 1 and 3 from the distances (N, N) of searches (rows) to stored faces (columns)."""
    person, queries = queries_with_mates(labels)
    precision, first = [], []
    for start in range(0, len(queries), _BLOCK):
        chosen = queries[start : start + _BLOCK]
        valid = chosen[:, None] != np.arange(len(labels))
        same = person[chosen][:, None] == person
        groups = metrics.tie_groups(distances[chosen], same, valid)
        precision.append(metrics.average_precision(groups))
        first.append(metrics.rank1(groups))
    precision, first = np.concatenate(precision), np.concatenate(first)
    # Row numbers in place of logits: the templates of one photo are then the rows enrolled.
    enrolled = enrol(np.arange(len(labels), dtype=np.float64)[:, None], labels, "one")
    columns = enrolled.templates[:, 0].astype(np.int64)
    nearest, hit = nearest_people(distances[np.ix_(enrolled.mated, columns)], enrolled.mate)
    stranger = distances[np.ix_(enrolled.non_mated, columns)].min(1)
    low, high = metrics.fnir_intervals(
        nearest, hit, labels[enrolled.mated], stranger, labels[enrolled.non_mated], LEVELS
    )
    limits = [metrics.threshold_at(stranger, level) for level in LEVELS]
    names = [str(level) for level in LEVELS]
    fnir = [float(1 - (hit * (nearest <= limit)).mean()) for limit in limits]
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return {
        "map": float(precision.mean()),
        "map_ci95": list(metrics.bootstrap_people(precision, labels[queries])),
        "rank1": float(first.mean()),
        "fnir_at_fpir": dict(zip(names, fnir, strict=True)),
        "fnir_ci95": {name: list(pair) for name, pair in zip(names, ends, strict=True)},
    }


def measure(
    train: Embedded,
    test: Embedded,
    seconds: float,
    clock: Callable[[], float] = time.thread_time,
) -> list[dict[str, Any]]:
    """A row for every representation and kind of distance."""
    faiss.omp_set_num_threads(1)
    base = {size: _hamming(codes.from_logits(test.logits, 8 * size)) for size in SIZES}
    rows = []
    for rival in rivals(train, test):
        for kind in ("symmetric", "asymmetric"):
            distances = getattr(rival, kind)
            if distances is None:
                continue
            timed, own = rival.engines.get(kind), base.get(rival.bytes, base[max(SIZES)])
            cost, ratio = (None, None) if timed is None else nanoseconds(timed, own, seconds, clock)
            rows.append(
                {
                    "method": rival.method,
                    "fitted_on": rival.fitted_on,
                    "bytes": rival.bytes,
                    "distance": kind,
                    **scores(distances, test.labels),
                    "microseconds_per_comparison": None if cost is None else round(cost / 1e3, 6),
                    "times_hamming": None if ratio is None else round(ratio, 2),
                }
            )
            done = f"{rival.method}, {rival.fitted_on}, {rival.bytes} bytes, {kind}"
            on_stderr(len(rows), len(rows), done)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write equal-bytes.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, action="append", required=True, metavar="DIR")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    parser.add_argument("--name", default="photos", help="what the report calls the photos")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.safetensors"))
    parser.add_argument("--embeddings", type=Path, metavar="NPZ", help="kept between runs")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing per row")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    checkpoint = load_checkpoint(chosen.checkpoint)
    model = checkpoint.model.eval()
    cache = chosen.embeddings
    if cache is not None and cache.is_file():
        train, test = read_embeddings(cache, checkpoint.fingerprint)
    else:
        test = embedded(model, detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold))
        train = training_faces(model, chosen.train, set(test.labels.tolist()))
        if cache is not None:
            write_embeddings(cache, checkpoint.fingerprint, train, test)
    report = {
        "data": chosen.name,
        "checkpoint": {"name": checkpoint.name, "sha256": checkpoint.fingerprint},
        "images": len(test.labels),
        "people": len(set(test.labels.tolist())),
        "fitted_images": len(train.labels),
        "fitted_people": len(set(train.labels.tolist())),
        "stored": STORED,
        "machine": machine(),
        "rows": measure(train, test, chosen.seconds),
    }
    write(report, chosen.out / "equal-bytes.json")


if __name__ == "__main__":
    main()
