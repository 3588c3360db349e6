"""Code stores next to bare faiss, numpy and float vectors, on one machine in one run.

    python -m benchmarks.stores --out docs/results/stores
    python -m benchmarks.stores --sizes 1e4 --bits 64 --milvus 1e4
    python -m benchmarks.stores --again docs/results/stores.json --out docs/results/stores

Codes are like a hashing network's: a tenth as many people as codes, each code its person's with one
bit in eight flipped. Every size is measured in a process of its own, so that memory is its own.
Queries of stores give ids, distances and metadata of 10 matches; "re-ranked" ones order the nearest
200 by asymmetric distance first.

Everything runs on one thread, and a search is timed by that thread's processor clock: on an idle
core that is the time a caller waits, and on a machine that other programs share it leaves out their
turns. It does not leave out what they do to caches and to the memory bus, so blocks of calls
alternate between the engines and quotients compare calls of the same round. Adding and Milvus are
timed by the clock on the wall; the report tells how many cores others kept busy meanwhile, and for
Milvus also the fastest block of five calls, which is nearest to what an idle machine would take.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
import psutil

from benchmarks.report import processor, write
from benchmarks.stores_report import plot, tables
from daah.stores.base import CodeSpec, Filter, Meta
from daah.stores.sqlite import SQLiteStore

ROOT = Path(__file__).resolve().parents[1]
K = 10
BATCH = 100
ADDED_AT_ONCE = 10_000
FLOAT_LIMIT = 1_000_000  # 128 float64 a face: a gigabyte
ONE_PERSON = Filter(people=frozenset({"person 0000003"}))

Call = Callable[[int], object]


# --- data ---------------------------------------------------------------------------------------


def person_codes(bits: int, people: int, seed: int) -> np.ndarray:
    """One code a person (people, B) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (people, bits // 8), dtype=np.uint8)


def photo_codes(people: np.ndarray, ids: np.ndarray, seed: int) -> np.ndarray:
    """Codes (N, B) uint8 of photos: photo i is of person i % people, one bit in eight flipped."""
    rng = np.random.default_rng(seed)
    size = (len(ids), people.shape[1])
    flips = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    return people[ids % len(people)] ^ (flips[0] & flips[1] & flips[2])


def metas(ids: np.ndarray, people: int) -> list[Meta]:
    """Names and times as a folder of photos would give."""
    return [
        Meta(f"person {id % people:07}", f"person {id % people:07}/{id:08}.jpg", 1.7e9 + id)
        for id in ids.tolist()
    ]


# --- timing -------------------------------------------------------------------------------------


def alternating(
    calls: dict[str, Call],
    seconds: float,
    block: int = 5,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, list[float]]:
    """Milliseconds a call of each, in blocks that alternate for about `seconds` in all."""
    blocks: dict[str, list[float]] = {name: [] for name in calls}
    number = 0
    for call in calls.values():
        call(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or number < 3:
        for name, call in calls.items():
            call(number)  # brings its own memory back into the processor's cache
            start = clock()
            for i in range(block):
                call(number + i)
            blocks[name].append((clock() - start) / block * 1e3)
        number += 1
    return blocks


def summary(blocks: dict[str, list[float]]) -> dict[str, float]:
    """Medians, in milliseconds."""
    return {name: round(float(np.median(times)), 4) for name, times in blocks.items()}


def spec(bits: int) -> CodeSpec:
    """Of a made-up model."""
    return CodeSpec(bits, f"{bits:064x}")


def quotient(blocks: dict[str, list[float]], ours: str, theirs: str) -> float:
    """Median over the blocks of our time as a multiple of theirs."""
    return round(float(np.median(np.array(blocks[ours]) / np.array(blocks[theirs]))), 3)


def once(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call."""
    start = clock()
    work()
    return clock() - start


class Others:
    """How many cores other programs keep busy from its making on."""

    def __init__(self) -> None:
        self.before = self._now()

    def cores(self, ours: Sequence[psutil.Process] = ()) -> float:
        """The mean since then, without what the processes `ours`, begun since, have used."""
        wall, busy = (now - then for now, then in zip(self._now(), self.before, strict=True))
        for process in ours:
            used = process.cpu_times()
            busy -= used.user + used.system
        return round(max(busy / wall, 0.0), 1)

    @staticmethod
    def _now() -> tuple[float, float]:
        """Seconds on the wall, and processor seconds of all programs but this one."""
        all_, own = psutil.cpu_times(), psutil.Process().cpu_times()
        busy = sum(all_) - all_.idle - getattr(all_, "iowait", 0.0)
        return time.perf_counter(), busy - own.user - own.system


def megabytes() -> float:
    """Resident memory of this process."""
    return psutil.Process().memory_info().rss / 1e6


# --- engines ------------------------------------------------------------------------------------


def by_numpy(codes: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Rows of the nearest K codes, by numpy alone."""
    apart = np.bitwise_count(codes.view(np.uint64) ^ query.view(np.uint64))
    distances = apart[:, 0] if apart.shape[1] == 1 else apart.sum(axis=1, dtype=np.uint16)
    near = np.argpartition(distances, K)[:K]
    return near[np.argsort(distances[near], kind="stable")]


def by_floats(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Rows of the nearest K vectors as face_recognition's `face_distance` and a sort give them."""
    return np.argsort(np.linalg.norm(faces - face, axis=1))[:K]


def reading(codes: np.ndarray) -> dict[str, Call]:
    """Ways to read every byte once and do next to nothing with it; the fastest is the limit."""
    words = codes.view(np.uint64).reshape(-1)
    return {
        "read by max": lambda _: words.max(),
        "read by or": lambda _: np.bitwise_or.reduce(words),
        "read by sum": lambda _: words.sum(),
    }


# --- the SQLite store ---------------------------------------------------------------------------


def build(path: Path, bits: int, size: int) -> dict[str, object]:
    """Make a gallery of `size` faces, and tell how fast it grew."""
    people = person_codes(bits, max(size // 10, 1), seed=bits)
    with SQLiteStore(path, spec(bits)) as store:
        in_batches = processor = 0.0
        for start in range(0, size, ADDED_AT_ONCE):
            ids = np.arange(start, min(start + ADDED_AT_ONCE, size))
            rows = ids, photo_codes(people, ids, seed=start), metas(ids, len(people))
            began = time.process_time()
            in_batches += once(lambda rows=rows: store.upsert(*rows))
            processor += time.process_time() - began
        ids = np.arange(size, size + 50)
        codes, names = photo_codes(people, ids, seed=1), metas(ids, len(people))
        singly = [
            once(lambda one=slice(i, i + 1): store.upsert(ids[one], codes[one], names[one]))
            for i in range(50)
        ]
        store.remove(ids)
    return {
        "added_a_second": {
            "in_batches": round(size / in_batches),
            "in_batches_by_processor_time": round(size / processor),
            "one_by_one": round(1 / float(np.median(singly))),
        },
        "disk_bytes_a_face": round(path.stat().st_size / size, 1),
        "packed_file_bytes_a_face": round(beside(path).stat().st_size / size, 1)
        if beside(path).exists()
        else 0.0,
    }


def beside(path: Path) -> Path:
    """The file of packed codes of a gallery."""
    return path.with_name(f"{path.name}-codes")


def measure(path: Path, bits: int, seconds: float) -> dict[str, object]:
    """Opening, memory and searches of one gallery, in a process that has done nothing else."""
    faiss.omp_set_num_threads(1)
    others_at_work = Others()
    before = megabytes()
    start = time.thread_time()
    store = SQLiteStore(path, spec(bits), read_only=True)
    opening = {
        "seconds": round(time.thread_time() - start, 3),
        "from_packed_codes": beside(path).exists(),
    }
    size = store.count()
    queries, logits = questions(bits, size)

    def one(i: int) -> slice:
        return slice(i % BATCH, i % BATCH + 1)

    for i in range(BATCH):
        store.search(queries[one(i)], K, logits=logits[one(i)])
    packed = size * bits / 8 / 1e6
    memory = {
        "interpreter_mb": round(before),
        "opened_and_searched_mb": round(megabytes()),
        "packed_codes_mb": round(packed, 1),
        "limit_mb": round(2 * packed + 200),
    }
    first = once(lambda: store.search(queries[:1], K, where=ONE_PERSON), time.thread_time)
    memory["with_filters_mb"] = round(megabytes())
    codes = store._held.faces.base.codes
    bare = faiss.IndexBinaryFlat(bits)
    bare.add(codes)
    blocks = alternating(
        {
            "faiss": lambda i: bare.search(queries[one(i)], K),
            "search": lambda i: store.search(queries[one(i)], K),
            "search, re-ranked": lambda i: store.search(queries[one(i)], K, logits=logits[one(i)]),
            "search by half the bits": lambda i: store.search(queries[one(i)], K, bits // 2),
            **reading(codes),
        },
        seconds,
    )
    ratios = {name: quotient(blocks, name, "faiss") for name in ("search", "search, re-ranked")}
    single = summary(blocks)
    read = min(single.pop(name) for name in reading(codes))
    batched = alternating(
        {
            "faiss": lambda _: bare.search(queries, K),
            "search": lambda _: store.search(queries, K),
            "search, re-ranked": lambda _: store.search(queries, K, logits=logits),
        },
        seconds / 2,
        block=1,
    )
    others = {
        "numpy": lambda i: by_numpy(codes, queries[one(i)]),
        "search of one person": lambda i: store.search(queries[one(i)], K, where=ONE_PERSON),
    }
    if size <= FLOAT_LIMIT:
        vectors = np.random.default_rng(8).normal(size=(size, 128))
        others["face_recognition's floats"] = lambda i: by_floats(vectors, vectors[i])
        memory["face_recognition's floats_mb"] = round(vectors.nbytes / 1e6)
    single |= summary(alternating(others, seconds / 2, block=1))
    store.close()
    unpacked = once(
        lambda: SQLiteStore(path, spec(bits), read_only=True, cached_rows=2**62).close(),
        time.thread_time,
    )
    return {
        "cores_used_by_others": others_at_work.cores(),
        "open": {**opening, "seconds_without_packed_codes": round(unpacked, 2)},
        "memory": memory,
        "single_ms": {**single, "reading every byte once": read},
        "first_filtered_search_seconds": round(first, 2),
        "quotient_to_faiss": ratios,
        "read_gb_a_second": round(size * -(-bits // 64) * 8 / read / 1e6, 1),
        "batch_queries_a_second": rates(batched),
    }


def questions(bits: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """BATCH more photos of known people: codes (Q, B) uint8 and logits (Q, bits) float32."""
    rng = np.random.default_rng(7)
    people = person_codes(bits, max(size // 10, 1), seed=bits)
    queries = photo_codes(people, rng.integers(0, size, BATCH), seed=11)
    signs = np.where(np.unpackbits(queries, axis=1), 1, -1)
    return queries, np.abs(rng.normal(size=(BATCH, bits))).astype(np.float32) * signs


def rates(blocks: dict[str, list[float]]) -> dict[str, int]:
    """Queries a second, from milliseconds of a batch."""
    return {name: round(BATCH / ms * 1e3) for name, ms in summary(blocks).items()}


# --- Milvus -------------------------------------------------------------------------------------


def measure_milvus(folder: Path, bits: int, size: int, seconds: float) -> dict[str, object]:
    """The same questions to a Milvus server on this machine, with its own default settings."""
    from daah.stores.milvus import MilvusStore
    from tests.doubles.milvus_server import VERSION, MilvusServer

    people = person_codes(bits, max(size // 10, 1), seed=bits)
    queries, logits = questions(bits, size)
    others_at_work = Others()
    server = MilvusServer(folder / f"milvus-{bits}-{size}", quick=False)
    started = once(server.start)
    try:
        group = psutil.Process(server.process.pid)
        with MilvusStore(server.uri("bench", timeout=120), spec(bits)) as store:
            adding = 0.0
            for start in range(0, size, ADDED_AT_ONCE):
                ids = np.arange(start, min(start + ADDED_AT_ONCE, size))
                rows = ids, photo_codes(people, ids, seed=start), metas(ids, len(people))
                adding += once(lambda rows=rows: store.upsert(*rows))
            store.flush()
            store._client.flush(store._main.name, timeout=120)
            store.reindex()
            exact, _, result = asked_of_milvus(store, queries, logits, seconds)
        strong = server.uri("bench", timeout=120, consistency="strong")
        with MilvusStore(strong, spec(bits), read_only=True) as store:
            calls = {"search, strong": lambda i: store.search(queries[i % BATCH][None], K)}
            waits = alternating(calls, seconds, block=1, clock=time.perf_counter)
            result["single_ms"] |= summary(waits)
        clusters = {}
        for share in (1.0, 0.5, 0.25, 0.1, 0.03):
            uri = server.uri("bench", timeout=120, ivf_from=1000, nprobe=share)
            with MilvusStore(uri, spec(bits)) as store:
                if share == 1.0:
                    store.reindex()
                found, ms, _ = asked_of_milvus(store, queries, logits, 1)
            same = [len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]
            clusters[str(share)] = {"recall_at_10": round(np.mean(same) / K, 3), "single_ms": ms}
        processes = [group, *group.children(recursive=True)]
        resident = sum(process.memory_info().rss for process in processes) / 1e6
        others = others_at_work.cores(processes)
    finally:
        server.stop()
    return {
        "size": size,
        "bits": bits,
        "version": VERSION,
        "cores_used_by_others": others,
        "start_seconds": round(started, 1),
        "added_a_second": round(size / adding),
        "server_mb": round(resident),
        **result,
        "clusters_by_share_visited": clusters,
    }


def asked_of_milvus(
    store: object, queries: np.ndarray, logits: np.ndarray, seconds: float
) -> tuple[list[list[int]], float, dict[str, object]]:
    """Ids found for every query, milliseconds of a plain search, and all the times."""
    store._main._written = -np.inf  # long ago, so that staleness is bounded and no wait is timed
    found = store.search(queries, K).ids.tolist()
    one = [slice(i, i + 1) for i in range(BATCH)]
    blocks = alternating(
        {
            "search": lambda i: store.search(queries[one[i % BATCH]], K),
            "search, re-ranked": lambda i: store.search(
                queries[one[i % BATCH]], K, logits=logits[one[i % BATCH]]
            ),
        },
        seconds,
        clock=time.perf_counter,
    )
    single = summary(blocks)
    batched = alternating(
        {
            "search": lambda _: store.search(queries, K),
            "search, re-ranked": lambda _: store.search(queries, K, logits=logits),
        },
        seconds,
        block=1,
        clock=time.perf_counter,
    )
    times = {
        "single_ms": single,
        "single_ms_fastest_block": {name: round(min(ms), 4) for name, ms in blocks.items()},
        "batch_queries_a_second": rates(batched),
    }
    return found, single["search"], times


# --- the report ---------------------------------------------------------------------------------


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "faiss": faiss.__version__,
        "faiss_options": faiss.get_compile_options().strip(),
        "numpy": np.__version__,
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=float, nargs="*", default=[1e4, 1e5, 1e6, 1e7])
    parser.add_argument("--bits", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--milvus", type=float, nargs="*", default=[1e4, 1e5, 1e6])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each kind of measurement")
    parser.add_argument("--folder", type=Path, help="for the galleries; a temporary one by default")
    parser.add_argument(
        "--out", type=Path, help="write OUT.json, OUT.md and OUT.png; without it JSON to stdout"
    )
    parser.add_argument("--again", type=Path, help="take this report instead of measuring")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # in a fresh process
    given = parser.parse_args()
    if given.folder is not None:
        given.folder = given.folder.resolve()
    if given.measure:
        json.dump(measure(given.measure, given.bits[0], given.seconds), sys.stdout)
        return
    report = json.loads(given.again.read_text()) if given.again else measured(given)
    write(report, given.out and given.out.with_suffix(".json"))
    if given.out is None:
        return
    given.out.with_suffix(".md").write_text(tables(report))
    plot(report, given.out.with_suffix(".png"))


def measured(given: argparse.Namespace) -> dict[str, object]:
    """All of it."""
    report: dict[str, object] = {"machine": machine(), "matches": K, "batch": BATCH}
    report |= {"sqlite": [], "milvus": []}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for size in map(int, given.sizes):
            for bits in given.bits:
                path = Path(folder) / f"{bits}-{size}.db"
                row = {"size": size, "bits": bits, **build(path, bits, size)}
                asked = ["--measure", path, "--bits", bits, "--seconds", given.seconds]
                command = [sys.executable, "-m", "benchmarks.stores", *map(str, asked)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
                report["sqlite"].append(row | json.loads(done.stdout))
                print(json.dumps(report["sqlite"][-1]), file=sys.stderr)
                for file in Path(folder).glob(f"{path.name}*"):
                    file.unlink()
        for size in map(int, given.milvus):
            row = measure_milvus(Path(folder), given.bits[0], size, given.seconds / 2)
            report["milvus"].append(row)
            print(json.dumps(row), file=sys.stderr)
    return report


if __name__ == "__main__":
    main()
