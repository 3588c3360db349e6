"""Validation of arguments, the same for every store."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from daah.codes import from_logits, nbytes, prefix
from daah.stores.base import CodeSpec, Meta


def ids_argument(ids: np.ndarray) -> np.ndarray:
    """Validate ids.

    Args:
        ids: (N,) integers of any dtype.

    Returns:
        (N,) int64.

    Raises:
        ValueError: the shape or dtype is another, or an id exceeds int64.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(f"ids: expected (N,) integers, got {ids.dtype} {ids.shape}")
    if ids.dtype.kind == "u" and ids.size and ids.max() > np.iinfo(np.int64).max:
        raise ValueError("ids: expected int64, got a number beyond it")
    return ids.astype(np.int64)


def rows_argument(
    spec: CodeSpec,
    ids: np.ndarray,
    codes: np.ndarray,
    meta: Sequence[Meta],
    logits: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, list[Meta], np.ndarray | None]:
    """Validate rows to write.

    Args:
        spec: what the codes are made with.
        ids: (N,) integers, 0 or more, each once.
        codes: (N, B) uint8; bits beyond the code length are 0.
        meta: N Metas, with finite times and names that can be encoded as UTF-8.
        logits: (N, spec.bits) finite numbers that the codes are the signs of; or None.

    Returns:
        Ids (N,) int64, codes (N, B) uint8 contiguous, N Metas with float times, and logits
        (N, spec.bits) float32 or None.

    Raises:
        ValueError: an argument is not as described.
    """
    ids = ids_argument(ids)
    if ids.size and ids.min() < 0:
        raise ValueError(f"ids: expected 0 or more, got {ids.min()}")
    if ids.size and ids.max() == np.iinfo(np.int64).max:
        raise ValueError("ids: the largest int64 is not for use; Milvus leaves it out of ranges")
    if len(np.unique(ids)) != len(ids):
        raise ValueError("ids: the same id is given twice in one call")
    codes = codes_argument(spec, codes)
    if not len(ids) == len(codes) == len(meta):
        raise ValueError(f"expected N of each, got {len(ids)} ids, {len(codes)} codes, {len(meta)}")
    if spec.bits % 8 and not np.array_equal(prefix(codes, spec.bits), codes):
        raise ValueError(f"codes: bits beyond the first {spec.bits} must be 0")
    if logits is not None:
        logits = np.ascontiguousarray(logits, np.float32)
        if logits.shape != (len(ids), spec.bits) or not np.isfinite(logits).all():
            raise ValueError(
                f"logits: expected finite ({len(ids)}, {spec.bits}), got {logits.shape}"
            )
        if not np.array_equal(from_logits(logits), codes):
            raise ValueError("logits: the codes are not their signs")
    return ids, codes, [_meta_argument(m) for m in meta], logits


def codes_argument(spec: CodeSpec, codes: np.ndarray) -> np.ndarray:
    """Validate packed codes.

    Args:
        spec: what the codes are made with.
        codes: (N, B) uint8, B bytes for `spec.bits` bits.

    Returns:
        The codes, contiguous.

    Raises:
        ValueError: the shape or dtype is another.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != nbytes(spec.bits) or codes.dtype != np.uint8:
        raise ValueError(
            f"codes: expected uint8 (N, {nbytes(spec.bits)}), got {codes.dtype} {codes.shape}"
        )
    return np.ascontiguousarray(codes)


def query_argument(
    spec: CodeSpec, codes: np.ndarray, k: int, bits: int | None, logits: np.ndarray | None
) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Validate the arguments of a search.

    Args:
        spec: what the codes are made with.
        codes: query codes (Q, B) uint8.
        k: number of rows per query, at least 1.
        bits: length of the prefix that is compared, 1 to `spec.bits`; None is `spec.bits`.
        logits: (Q, K) finite, K at least `bits`; or None.

    Returns:
        Codes (Q, B) uint8 without bits beyond the code length, the length of the prefix, and logits
        (Q, bits) float32 or None.

    Raises:
        ValueError: an argument is not as described.
    """
    codes = codes_argument(spec, codes)
    if spec.bits % 8:
        codes = prefix(codes, spec.bits)  # bits beyond the code must not add to distances
    bits = spec.bits if bits is None else bits
    if not 1 <= bits <= spec.bits:
        raise ValueError(f"bits: expected 1 to {spec.bits}, got {bits}")
    if k < 1:
        raise ValueError(f"k: expected 1 or more, got {k}")
    if logits is not None:
        logits = np.asarray(logits, np.float32)
        if logits.ndim != 2 or len(logits) != len(codes) or logits.shape[1] < bits:
            raise ValueError(f"logits: expected ({len(codes)}, {bits} or more), got {logits.shape}")
        logits = logits[:, :bits]
        if not np.isfinite(logits).all():
            raise ValueError("logits: expected finite numbers")
    return codes, bits, logits


def radius_argument(radius: int) -> int:
    """Validate a radius in bits.

    Args:
        radius: the radius.

    Returns:
        The radius.

    Raises:
        ValueError: it is no whole number, or below 0.
    """
    if not isinstance(radius, int | np.integer) or radius < 0:
        raise ValueError(f"radius: expected a whole number of bits, 0 or more, got {radius!r}")
    return int(radius)


def _meta_argument(meta: Meta) -> Meta:
    for name in ("person", "photo", "name"):
        value = getattr(meta, name)
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, got {type(value).__name__}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name}: the text cannot be written as UTF-8") from None
    added_at = float(meta.added_at)
    if not math.isfinite(added_at):
        raise ValueError(f"added_at: expected seconds since 1970, got {added_at}")
    # Adding 0.0 turns -0.0 into 0.0, which is how every store gives it back.
    return Meta(meta.person, meta.photo, added_at + 0.0, meta.name)
