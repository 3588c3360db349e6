"""Binary codes: sign, pack, prefix, distance. The only owner of bit order.

A code of K bits is packed big-endian as `numpy.packbits` does: bit 0 is the highest bit of byte 0.
A length that is not a whole number of bytes leaves the unused low bits of the last byte zero, so
that they never add to a distance.
"""

from __future__ import annotations

import numpy as np

BIT_ORDER = "big"


def nbytes(bits: int) -> int:
    """Bytes that hold `bits` bits.

    Args:
        bits: code length.

    Returns:
        bits / 8, rounded up.
    """
    return (bits + 7) // 8


def sign(logits: np.ndarray) -> np.ndarray:
    """Binarise logits.

    Args:
        logits: (..., K) of any float type.

    Returns:
        Bits (..., K) bool: whether each logit is above 0. A logit of exactly 0 is a 0 bit.
    """
    return np.asarray(logits) > 0


def pack(bits: np.ndarray) -> np.ndarray:
    """Pack bits into bytes.

    Args:
        bits: (..., K) bool.

    Returns:
        Bytes (..., ceil(K / 8)) uint8.

    Raises:
        TypeError: the bits are not bool; packing -1/+1 would silently corrupt distances.
    """
    bits = np.asarray(bits)
    if bits.dtype != np.bool_:
        raise TypeError(f"pack: expected bool bits, got {bits.dtype}")
    return np.packbits(bits, axis=-1, bitorder=BIT_ORDER)


def from_logits(logits: np.ndarray, bits: int | None = None) -> np.ndarray:
    """Binarise and pack logits.

    Args:
        logits: (..., K) of any float type.
        bits: length of the prefix that is packed; None packs all K.

    Returns:
        Packed codes (..., ceil(bits / 8)) uint8.

    Raises:
        ValueError: there are fewer than `bits` logits.
    """
    logits = np.asarray(logits)
    if bits is not None and bits > logits.shape[-1]:
        raise ValueError(f"from_logits: expected at least {bits} logits, got {logits.shape[-1]}")
    return pack(sign(logits[..., :bits]))


def unpack(packed: np.ndarray, bits: int) -> np.ndarray:
    """Unpack bytes into bits.

    Args:
        packed: codes (..., B) uint8.
        bits: number of bits to return, at most 8 B.

    Returns:
        The first `bits` bits (..., bits) bool.

    Raises:
        TypeError: the codes are not uint8.
        ValueError: the codes have fewer than `bits` bits.
    """
    packed = _bytes(packed)
    if packed.shape[-1] < nbytes(bits):
        raise ValueError(f"unpack: {bits} bits need {nbytes(bits)} bytes, got {packed.shape[-1]}")
    return np.unpackbits(packed, axis=-1, count=bits, bitorder=BIT_ORDER).astype(np.bool_)


def prefix(packed: np.ndarray, bits: int) -> np.ndarray:
    """Cut codes to their first `bits` bits.

    Args:
        packed: codes (..., B) uint8.
        bits: length of the prefix, 1 to 8 B.

    Returns:
        Codes (..., ceil(bits / 8)) uint8; unused low bits of the last byte are 0.

    Raises:
        TypeError: the codes are not uint8.
        ValueError: `bits` is out of range.
    """
    packed = _bytes(packed)
    if not 1 <= bits <= 8 * packed.shape[-1]:
        raise ValueError(f"prefix: expected 1 to {8 * packed.shape[-1]} bits, got {bits}")
    cut = packed[..., : nbytes(bits)].copy()
    if bits % 8:
        cut[..., -1] &= np.uint8((0xFF << (8 - bits % 8)) & 0xFF)
    return cut


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamming distance of every pair of codes.

    Args:
        a: codes (N, B) uint8.
        b: codes (M, B) uint8.

    Returns:
        Number of bits that differ, (N, M) int32.

    Raises:
        TypeError: the codes are not uint8.
        ValueError: the codes of a and b differ in length.
    """
    a, b = _bytes(a), _bytes(b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"hamming: codes of {a.shape[-1]} and {b.shape[-1]} bytes")
    total = np.zeros((len(a), len(b)), np.int32)
    for column in range(a.shape[1]):  # a byte at a time keeps the memory at N x M
        total += np.bitwise_count(a[:, None, column] ^ b[None, :, column])
    return total


def asymmetric(logits: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Asymmetric distance of query logits to stored codes.

    The sum of |logit| over the bits that disagree. It orders a database as the inner product of
    logits and -1/+1 codes does (Gordo et al., "Asymmetric distances for binary embeddings", TPAMI
    2014), and is zero for the query's own code.

    Args:
        logits: (N, K) or (K,) of any float type.
        packed: codes (M, B) uint8 of at least K bits.

    Returns:
        Distances (N, M) float32, 0 or more.

    Raises:
        TypeError: the codes are not uint8.
        ValueError: the codes have fewer than K bits.
    """
    logits = np.atleast_2d(np.asarray(logits, np.float32))
    stored = unpack(packed, logits.shape[1]).astype(np.float32)
    weight = np.abs(logits)
    # |l| where l > 0 and the stored bit is 0, plus |l| where l <= 0 and the stored bit is 1.
    positive = np.where(sign(logits), weight, 0.0)
    return np.maximum(
        positive.sum(1, keepdims=True) + (weight - 2 * positive) @ stored.T, 0.0, dtype=np.float32
    )


def normalised_asymmetric(logits: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Asymmetric distance whose scale does not depend on the query, so that one limit serves all.

    K / 2 (1 - cos), cos being the cosine similarity of the logits and the -1/+1 code. A query whose
    logits are all -1 or +1 has its Hamming distance.

    Args:
        logits: (N, K) of any float type.
        packed: codes (M, B) uint8 of at least K bits.

    Returns:
        Distances (N, M) float32 in bits, 0 to K.

    Raises:
        TypeError: the codes are not uint8.
        ValueError: the codes have fewer than K bits.
    """
    logits = np.asarray(logits, np.float32)
    bits = logits.shape[1]
    unit = logits / np.maximum(np.linalg.norm(logits, axis=1, keepdims=True), 1e-12)
    signs = np.where(unpack(packed, bits), np.float32(1), np.float32(-1)) / np.sqrt(bits)
    return (bits / 2 * (1 - (unit @ signs.T.astype(np.float32)))).clip(0, bits)


def cosine(logits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosine similarity of the logits of a query with those of others.

    Args:
        logits: (K,) of any float type.
        others: (M, K).

    Returns:
        (M,) float32, -1 to 1; 0 where a row, or the query, is all zeros.

    Example:
        >>> cosine(np.float32([3, 4]), np.float32([[6, 8], [0, 0]])).tolist()
        [1.0, 0.0]
    """
    product = np.asarray(others, np.float64) @ np.asarray(logits, np.float64)
    lengths = np.linalg.norm(np.asarray(others, np.float64), axis=1) * np.linalg.norm(
        np.asarray(logits, np.float64)
    )
    return np.divide(product, lengths, out=np.zeros(len(others)), where=lengths > 0).astype(
        np.float32
    )


def to_hex(packed: np.ndarray) -> str:
    """One code as lower-case hexadecimal digits.

    Args:
        packed: code (B,) uint8.

    Returns:
        2 B digits.

    Raises:
        TypeError: the code is not uint8.
    """
    return _bytes(packed).tobytes().hex()


def from_hex(text: str) -> np.ndarray:
    """The inverse of `to_hex`.

    Args:
        text: hexadecimal digits, two per byte.

    Returns:
        Code (B,) uint8, read-only.

    Raises:
        ValueError: the text is not hexadecimal.
    """
    return np.frombuffer(bytes.fromhex(text), np.uint8)


def _bytes(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise TypeError(f"codes: expected packed uint8 bytes, got {array.dtype}")
    return array
