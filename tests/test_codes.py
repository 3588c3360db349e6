"""Bits, bytes and distances: the properties that every store and figure rests on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daah import codes

LENGTHS = st.integers(1, 130)


def bits_of(length: int, count: int = 1) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.bool_, (count, length))


@given(LENGTHS.flatmap(bits_of))
def test_pack_and_unpack_are_inverse(bits: np.ndarray) -> None:
    packed = codes.pack(bits)
    assert packed.shape == (1, codes.nbytes(bits.shape[1]))
    np.testing.assert_array_equal(codes.unpack(packed, bits.shape[1]), bits)


@given(LENGTHS.flatmap(lambda n: bits_of(n, 3)))
def test_hamming_is_a_metric_and_counts_differing_bits(bits: np.ndarray) -> None:
    packed = codes.pack(bits)
    distance = codes.hamming(packed, packed)
    np.testing.assert_array_equal(distance, (bits[:, None] != bits[None]).sum(-1))
    np.testing.assert_array_equal(distance, distance.T)
    assert distance[0, 2] <= distance[0, 1] + distance[1, 2]
    assert not distance.diagonal().any()


@given(LENGTHS.flatmap(lambda n: st.tuples(bits_of(n, 2), st.integers(1, n))))
def test_a_prefix_is_the_first_bits_and_never_further_than_the_whole(
    case: tuple[np.ndarray, int],
) -> None:
    bits, length = case
    packed = codes.pack(bits)
    cut = codes.prefix(packed, length)
    np.testing.assert_array_equal(cut, codes.pack(bits[:, :length]))
    assert codes.hamming(cut[:1], cut[1:])[0, 0] <= codes.hamming(packed[:1], packed[1:])[0, 0]


@given(
    arrays(np.float32, (2, 24), elements=st.floats(-4, 4, width=32)),
    arrays(np.bool_, (5, 24)),
)
def test_asymmetric_distance_is_the_weight_of_disagreeing_bits(
    logits: np.ndarray, bits: np.ndarray
) -> None:
    expected = (np.abs(logits)[:, None] * (codes.sign(logits)[:, None] != bits)).sum(-1)
    got = codes.asymmetric(logits, codes.pack(bits))
    np.testing.assert_allclose(got, expected, atol=1e-4)
    own = codes.asymmetric(logits, codes.from_logits(logits))
    np.testing.assert_allclose(own.diagonal(), 0, atol=1e-4)


@given(arrays(np.uint8, st.integers(1, 20)))
def test_hex_round_trip(packed: np.ndarray) -> None:
    np.testing.assert_array_equal(codes.from_hex(codes.to_hex(packed)), packed)


def test_bit_0_is_the_highest_bit_of_byte_0() -> None:
    assert codes.to_hex(codes.pack(np.array([True] + [False] * 11))) == "8000"


@pytest.mark.parametrize("length", [12, 36])
def test_unused_bits_of_the_last_byte_never_count(length: int) -> None:
    a = codes.pack(np.zeros((1, length), np.bool_))
    b = codes.pack(np.ones((1, length), np.bool_))
    assert codes.hamming(a, b)[0, 0] == length
    assert codes.to_hex(codes.prefix(np.full(6, 255, np.uint8), 12)) == "fff0"


@pytest.mark.parametrize("signs", [np.array([-1, 1, 1]), np.array([0, 1, 1]), np.array([1.0])])
def test_packing_anything_but_bool_is_refused(signs: np.ndarray) -> None:
    """numpy.packbits would take -1 for a set bit, and every distance would be wrong."""
    with pytest.raises(TypeError, match="expected bool"):
        codes.pack(signs)


def test_a_logit_of_zero_is_a_0_bit() -> None:
    assert codes.sign(np.array([0.0, -0.0, 1e-30, -1.0])).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda: codes.unpack(np.zeros(1, np.uint8), 9),
        lambda: codes.prefix(np.zeros(1, np.uint8), 9),
        lambda: codes.prefix(np.zeros(1, np.uint8), 0),
        lambda: codes.hamming(np.zeros((1, 1), np.uint8), np.zeros((1, 2), np.uint8)),
        lambda: codes.from_hex("zz"),
    ],
)
def test_impossible_lengths_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"bits|bytes|hex"):
        call()


def test_codes_of_logits_are_their_signs_packed() -> None:
    logits = np.array([[0.5, -1, 0, 2, 3, -4, 5, 6, 7, -1]], np.float32)
    assert codes.from_logits(logits).tolist() == codes.pack(logits > 0).tolist()
    assert codes.from_logits(logits, 4).tolist() == codes.pack(logits[:, :4] > 0).tolist()
    with pytest.raises(ValueError, match="at least 99 logits"):
        codes.from_logits(logits, 99)
