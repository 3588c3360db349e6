"""An encoder with a key: its codes are those of the key, and everything else is the network's."""

from __future__ import annotations

import numpy as np

from daah import codes, keys
from daah.models.encoder import encode
from daah.models.keyed import KeyedEncoder, unkeyed
from tests.doubles.encoder import ProjectionEncoder, encoded

PLAIN = ProjectionEncoder()
KEYED = KeyedEncoder(PLAIN, keys.new_key(keys.Secret(bytes(32))))


def test_it_is_the_network_but_for_its_codes() -> None:
    face = encoded(PLAIN, 3).face
    (plain,), (keyed,) = encode(PLAIN, [face]), encode(KEYED, [face])
    assert np.array_equal(plain.mask, keyed.mask)
    assert plain.certainty == keyed.certainty
    assert (plain.code.bits != keyed.code.bits).any()
    logits, _ = KEYED.encode(face.aligned[None])
    assert np.array_equal(logits[0], keyed.code.logits)
    assert KEYED.fingerprint != PLAIN.fingerprint
    assert unkeyed(KEYED) is PLAIN
    assert unkeyed(PLAIN) is PLAIN


def test_a_code_from_elsewhere_gets_the_key_at_every_length() -> None:
    face = encoded(PLAIN, 3).face
    (plain,), (keyed,) = encode(PLAIN, [face]), encode(KEYED, [face])
    for bits in PLAIN.lengths:
        sent = np.zeros(codes.nbytes(PLAIN.bits), np.uint8)
        sent[: codes.nbytes(bits)] = codes.pack(plain.code.bits[:bits])
        made = codes.prefix(KEYED.code(sent), bits)
        assert np.array_equal(made, codes.pack(keyed.code.bits[:bits]))
