"""The cascade that nested codes allow, at a million to a hundred million codes, beside bare faiss.

    python -m benchmarks.cascade --embeddings embeddings.npz --sizes 1e6,1e7,1e8

A first scan reads the first 32 or 64 bits of every code, which a gallery may keep apart. Its
shortlist is ordered by the whole code of 128 bits, and the 200 nearest of those by the query's
logits. What it leaves out is told against the same with the whole code from the beginning, which is
what a gallery does now, and against an exact scan by the whole code.

So many faces do not exist here, so their logits are drawn: from normal distributions whose mean and
covariances between and within people are those of the network's logits of training people
(`benchmarks.equal_bytes --embeddings`). Bits are then as unequal and as dependent as the network's
own. Every face is another person's; two hundred of them have a second photo, which is the query.

Scans run on one thread and are timed by that thread's processor clock; "all cores" is timed by the
clock on the wall, one core and all cores in turns. Codes are in memory: a gallery scans the same
array (`daah.stores.sqlite.knn`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.quality import on_stderr
from benchmarks.report import write
from benchmarks.stores import Others, alternating, quotient, summary
from daah import codes
from daah.evaluation.speed import machine
from daah.stores.ranking import asymmetric_each
from daah.stores.sqlite import knn

#: Bits of the whole code, and of first scans.
BITS = 128
FIRST = (32, 64)

#: Sizes of shortlists, as shares of the gallery, but no fewer than so many.
SHARES = (1e-5, 1e-4, 1e-3)
FEWEST = 1000

QUERIES = 200
K = 10
RERANKED = 200

#: Radii that searches by radius are timed at.
RADIUS = 16

_CHUNK = 500_000


@dataclass(frozen=True, eq=False)
class Logits:
    """Normal distributions of logits: mean (K,), square roots (K, K) of both covariances."""

    mean: np.ndarray
    between: np.ndarray
    within: np.ndarray

    def people(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Mean logits (N, K) float32 of other people."""
        drawn = rng.standard_normal((count, len(self.mean)), np.float32)
        return drawn @ self.between + self.mean

    def photos(self, people: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Logits (N, K) float32 of a photo of each."""
        return people + rng.standard_normal(people.shape, np.float32) @ self.within

    def faces(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Logits (N, K) float32 of a photo of other people each, in one step."""
        covariance = self.between.T @ self.between + self.within.T @ self.within
        return rng.standard_normal((count, len(self.mean)), np.float32) @ _root(covariance) + (
            self.mean
        )


def fit(logits: np.ndarray, labels: np.ndarray) -> Logits:
    """The distributions of labelled logits (N, K)."""
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    mean = np.zeros((len(count), logits.shape[1]))
    np.add.at(mean, person, logits.astype(np.float64))
    mean /= count[:, None]
    several = count[person] > 1
    spread = (logits - mean[person])[several]
    within = spread.T @ spread / (several.sum() - (count > 1).sum())
    # A person's mean of n photos has 1 / n of the variance within people.
    between = np.cov(mean.T) - within * (1 / count).mean()
    return Logits(mean.mean(0).astype(np.float32), _root(between), _root(within))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric square root (K, K) float32; directions of negative variance are left out."""
    values, vectors = np.linalg.eigh(covariance)
    return ((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Codes in memory, and queries.

    Attributes:
        whole: (N, 16) uint8.
        first: the first bits of the same, by their number.
        logits: (Q, 128) float32 of the queries; their mates are the first Q rows.
    """

    whole: np.ndarray
    first: dict[int, np.ndarray]
    logits: np.ndarray

    @property
    def queries(self) -> np.ndarray:
        """Codes (Q, 16) of the queries."""
        return codes.from_logits(self.logits)


def draw(model: Logits, size: int, seed: int = 0) -> Gallery:
    """A gallery of so many people, some of whom are searched for."""
    rng = np.random.Generator(np.random.SFC64(seed))
    people = model.people(QUERIES, rng)
    whole = np.empty((size, BITS // 8), np.uint8)
    whole[:QUERIES] = codes.from_logits(model.photos(people, rng))
    for start in range(QUERIES, size, _CHUNK):
        stop = min(start + _CHUNK, size)
        whole[start:stop] = codes.from_logits(model.faces(stop - start, rng))
        on_stderr(stop, size, "Drawing codes")
    first = {bits: np.ascontiguousarray(whole[:, : bits // 8]) for bits in FIRST}
    return Gallery(whole, first, model.photos(people, rng))


def reranked(gallery: Gallery, rows: np.ndarray, number: int) -> np.ndarray:
    """Rows by the query's logits, ties by row."""
    rows = np.sort(rows)
    weight = asymmetric_each(gallery.logits[number : number + 1], gallery.whole[rows][None])[0]
    return rows[np.argsort(weight, kind="stable")[:K]]


def exact(gallery: Gallery, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest by the whole code: K of them, and K of the `RERANKED` by logits."""
    query = gallery.queries[number : number + 1]
    _, rows = faiss.knn_hamming(query, gallery.whole, RERANKED)
    return rows[0, :K], reranked(gallery, rows[0], number)


def cascade(gallery: Gallery, number: int, bits: int, shortlist: int) -> np.ndarray:
    """First bits, whole code, logits: K rows."""
    query = gallery.queries[number : number + 1]
    start = np.ascontiguousarray(query[:, : bits // 8])
    # Counting distances is quicker than a heap where many rows are kept.
    _, rows = faiss.knn_hamming(start, gallery.first[bits], shortlist, variant="mc")
    rows = np.sort(rows[0])
    _, near = faiss.knn_hamming(query, gallery.whole[rows], min(RERANKED, shortlist))
    return reranked(gallery, rows[near[0]], number)


def measure(
    model: Logits,
    size: int,
    seconds: float,
    queries: int = QUERIES,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, Any]:
    """Recall and time of every cascade at one size."""
    faiss.omp_set_num_threads(1)
    others = Others()
    began = time.perf_counter()
    gallery = draw(model, size)
    drawing = time.perf_counter() - began
    truth = [exact(gallery, number) for number in range(queries)]
    shortlists = sorted({min(size, max(FEWEST, round(size * share))) for share in SHARES})
    asked = gallery.queries

    def query(number: int) -> np.ndarray:
        return asked[number % queries][None]

    calls: dict[str, Callable[[int], object]] = {
        "faiss, 128 bits": lambda i: faiss.knn_hamming(query(i), gallery.whole, K),
        "faiss, 64 bits": lambda i: faiss.knn_hamming(
            np.ascontiguousarray(query(i)[:, :8]), gallery.first[64], K
        ),
        "128 bits, then logits": lambda i: exact(gallery, i % queries),
    }
    rows = []
    for bits in FIRST:
        for shortlist in shortlists:
            found = [cascade(gallery, number, bits, shortlist) for number in range(queries)]
            pairs = list(zip(found, truth, strict=True))
            name = f"first {bits} bits, {shortlist} kept"
            calls[name] = lambda i, bits=bits, shortlist=shortlist: cascade(
                gallery, i % queries, bits, shortlist
            )
            rows.append(
                {
                    "size": size,
                    "first_bits": bits,
                    "shortlist": shortlist,
                    "recall_at_1": _recall([(a[:1], b[:1]) for a, (_, b) in pairs]),
                    "recall_at_10": _recall([(a, b) for a, (_, b) in pairs]),
                    "mate_first": float(np.mean([a[0] == i for i, a in enumerate(found)])),
                }
            )
    blocks = alternating(calls, seconds, block=2, clock=clock)
    times = summary(blocks)
    for row in rows:
        name = f"first {row['first_bits']} bits, {row['shortlist']} kept"
        row["ms"] = times[name]
        row["times_faiss"] = quotient(blocks, name, "faiss, 128 bits")
    walls = alternating(
        {
            "one core": lambda i: faiss.knn_hamming(query(i), gallery.whole, K),
            "all cores": lambda i: knn.nearest(gallery.whole, query(i), K),
        },
        seconds / 3,
        block=2,
        clock=time.perf_counter,
    )
    radius = alternating(
        {
            "within": lambda i: knn.within(gallery.whole, query(i), RADIUS),
            "faiss": lambda i: faiss.knn_hamming(query(i), gallery.whole, K),
        },
        seconds / 3,
        block=2,
        clock=clock,
    )
    return {
        "size": size,
        "code_mb": round(gallery.whole.nbytes / 1e6),
        "queries": queries,
        "drawing_seconds": round(drawing, 1),
        "cores_used_by_others": others.cores(),
        "mate_first_by_whole_code": float(
            np.mean([a[0] == i for i, (a, _) in enumerate(truth)])
        ),
        "mate_first_by_logits": float(np.mean([b[0] == i for i, (_, b) in enumerate(truth)])),
        "ms": {name: times[name] for name in list(calls)[:3]},
        "within_ms": summary(radius)["within"],
        "within_times_faiss": quotient(radius, "within", "faiss"),
        "wall_ms": summary(walls),
        "all_cores_times_one": quotient(walls, "all cores", "one core"),
        "batch_queries_a_second": _batch(gallery, clock),
        "rows": rows,
    }  # fmt: skip


def _recall(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in pairs]))


def _batch(gallery: Gallery, clock: Callable[[], float]) -> dict[str, float]:
    """Queries per second of one call with a few of them, by bare faiss on one thread."""
    few = gallery.queries[:20]
    found = {}
    for name, stored, asked in (
        ("128 bits", gallery.whole, few),
        ("64 bits", gallery.first[64], np.ascontiguousarray(few[:, :8])),
    ):
        start = clock()
        faiss.knn_hamming(asked, stored, K)
        found[name] = round(len(few) / max(clock() - start, 1e-9), 1)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write cascade.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", type=Path, required=True, metavar="NPZ")
    parser.add_argument("--sizes", default="1e6,1e7,1e8", metavar="LIST")
    parser.add_argument("--seconds", type=float, default=30.0, help="of timing per size")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    with np.load(chosen.embeddings, allow_pickle=False) as kept:
        model = fit(kept["train_logits"][:, :BITS], kept["train_labels"])
    began = time.perf_counter()
    sizes = []
    for size in chosen.sizes.split(","):
        sizes.append(measure(model, int(float(size)), chosen.seconds))
        report = {
            "machine": machine(),
            "bits": BITS,
            "reranked": RERANKED,
            "radius": RADIUS,
            "seconds_in_all": round(time.perf_counter() - began),
            "sizes": sizes,
        }
        write(report, chosen.out / "cascade.json")


if __name__ == "__main__":
    main()
