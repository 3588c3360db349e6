"""Rows for the tests: codes that tie, names that need care, ids in no order."""

from __future__ import annotations

import hashlib

import numpy as np

from daah.codes import pack, unpack
from daah.stores.base import CodeSpec, Meta

NAMES = ("s1", "s2", "Ann O'Neil", 'quote "q" \\ back', "Zoë Ångström 李", "line\nbreak", "")


def spec(bits: int, model: str = "a model") -> CodeSpec:
    """The spec of a made-up model."""
    return CodeSpec(bits, hashlib.sha256(model.encode()).hexdigest())


def codes(rng: np.random.Generator, n: int, bits: int, kind: str = "faces") -> np.ndarray:
    """Codes (n, B) uint8.

    "faces" are like a hashing network's: a tenth as many people as codes, correlated bits, each
    photo a few bits from its person. "random" bits are fair; "few" are 8 codes that all repeat.
    """
    if kind == "random":
        return pack(rng.random((n, bits)) < 0.5)
    if kind == "few":
        return pack(rng.random((8, bits)) < 0.5)[rng.integers(0, 8, n)]
    mixing = rng.normal(size=(bits // 2 + 1, bits))
    person = rng.normal(size=(max(n // 10, 1), bits // 2 + 1)) @ mixing > 0
    flips = rng.random((n, bits)) < rng.choice([0.02, 0.1, 0.2], size=(n, 1))
    return pack(person[rng.integers(0, len(person), n)] ^ flips)


def ids(rng: np.random.Generator, n: int) -> np.ndarray:
    """Distinct ids (n,) int64, mostly small, some beyond 32 bits, in no order."""
    chosen = rng.choice(20 * n + 20, size=n, replace=False).astype(np.int64)
    chosen[: n // 10] += 2**40
    return rng.permutation(chosen)


def metas(rng: np.random.Generator, n: int) -> list[Meta]:
    """Metas with names of every kind and times within one hour."""
    return [
        Meta(NAMES[rng.integers(len(NAMES))], f"photo {i}.jpg", 1.7e9 + 0.5 * rng.integers(7200))
        for i in range(n)
    ]


def logits_of(rng: np.random.Generator, packed: np.ndarray, bits: int) -> np.ndarray:
    """Logits (n, bits) float32 whose signs are the codes; zeros among them."""
    size = np.where(
        rng.random((len(packed), bits)) < 0.05, 0, rng.gamma(1.0, 3.0, (len(packed), bits))
    )
    ones = unpack(packed, bits)
    return np.where(ones, size + 1e-6, -size).astype(np.float32)
