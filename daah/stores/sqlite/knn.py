"""Exact k nearest codes by Hamming distance in a block of memory, by faiss's scan."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np

#: Rows gathered or masked at a time: 512 KiB of 64-bit codes, which stays in the cache of a core.
BLOCK = 65_536

#: Rows from which on the rows are divided among the cores. With fewer, on two cores that others
#: keep busy too, waiting for the second thread took longer than it saved. faiss divides queries
#: among its threads, and so leaves all cores but one idle for a single query.
SHARED = 10_000_000


def nearest(
    codes: np.ndarray,
    queries: np.ndarray,
    k: int,
    mask: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest `min(k, N)` rows of each query, sorted by distance, ties by row.

    faiss keeps a heap of (distance, row) per query and replaces an entry only by a row that is
    strictly nearer, so the first of several rows that tie at the cut remain. tests/stores compare
    every cut with brute force.

    Args:
        codes: (N, 8 W) uint8, whole 64-bit words.
        queries: (Q, 8 W) uint8.
        k: number of rows per query.
        mask: (V,) uint64 with V <= W, the bits of the first V words that are compared; None
            compares all.
        rows: (M,) int64 ascending, the rows that are searched, then N is M; None searches all.

    Returns:
        Distances (Q, k) int32 and rows (Q, k) int64.
    """
    total = len(codes) if rows is None else len(rows)
    k = min(k, total)
    if k == 0 or len(queries) == 0:
        empty = (len(queries), k)
        return np.zeros(empty, np.int32), np.zeros(empty, np.int64)
    if mask is None and rows is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if total < SHARED or len(queries) >= cores:
            return faiss.knn_hamming(queries, codes, k)
        return _by_cores(codes, queries, k, cores)
    if mask is not None:
        queries = _masked(queries, mask)
    distances = np.zeros((len(queries), 0), np.int32)
    found = np.zeros((len(queries), 0), np.int64)
    for start in range(0, total, BLOCK):
        chosen = slice(start, start + BLOCK) if rows is None else rows[start : start + BLOCK]
        block = codes[chosen] if mask is None else _masked(codes[chosen], mask)
        near, row = faiss.knn_hamming(queries, block, min(k, len(block)))
        row = row + start if rows is None else chosen[row]
        distances, found = np.hstack([distances, near]), np.hstack([found, row])
        if start:  # rows of later blocks are larger, so a stable sort keeps (distance, row)
            keep = np.argsort(distances, axis=1, kind="stable")[:, :k]
            distances = np.take_along_axis(distances, keep, 1)
            found = np.take_along_axis(found, keep, 1)
    return distances, found


def _by_cores(
    codes: np.ndarray, queries: np.ndarray, k: int, cores: int
) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` of few queries, every core searching a part of the rows."""
    starts = np.linspace(0, len(codes), cores + 1).astype(np.int64)

    def search(part: int) -> tuple[np.ndarray, np.ndarray]:
        block = codes[starts[part] : starts[part + 1]]
        near, row = faiss.knn_hamming(queries, block, min(k, len(block)))
        return near, row + starts[part]

    # The number is each thread's own: else every part would divide its one query once more.
    with ThreadPoolExecutor(cores, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        parts = list(pool.map(search, range(cores)))
    distances, found = (np.hstack(columns) for columns in zip(*parts, strict=True))
    # Rows of later parts are larger, so a stable sort keeps (distance, row).
    keep = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, keep, 1), np.take_along_axis(found, keep, 1)


def within(
    codes: np.ndarray,
    queries: np.ndarray,
    radius: int,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows up to a distance from each query, in no particular order.

    Args:
        codes: (N, 8 W) uint8, whole 64-bit words.
        queries: (Q, 8 W) uint8.
        radius: the largest distance.
        mask: as of `nearest`.

    Returns:
        Queries (M,) int64, rows (M,) int64 and distances (M,) int32.
    """
    if mask is not None:
        queries = _masked(queries, mask)
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))]
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK]
        index = faiss.IndexBinaryFlat(8 * queries.shape[1])
        index.add(block if mask is None else _masked(block, mask))
        ends, distances, rows = index.range_search(queries, radius + 1)  # faiss's is exclusive
        asked = np.repeat(np.arange(len(queries)), np.diff(ends.astype(np.int64)))
        parts.append((asked, rows + start, distances.astype(np.int32)))
    asked, rows, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return asked, rows, distances


def _masked(codes: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """codes (N, 8 W) uint8 cut to the words of mask (V,) uint64, other bits zero: (N, 8 V)."""
    return (codes.view(np.uint64)[:, : len(mask)] & mask).view(np.uint8)
