"""Keys: what follows from them, what they leave as it is, and what nobody can read."""

from __future__ import annotations

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from daah import codes, keys
from daah.errors import ConfigError, KeyMismatchError, KeyMissingError

LENGTHS = (16, 24, 32, 48, 64, 96, 128, 256)
SECRET = keys.Secret(bytes(range(32)))

#: SHA-256 of templates of a key of zeros.
PINNED = "a541c3d19bc5729abcc36c9adada5d23d7c87feaa984b35773c86116196a8455"


def logits(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 256)).astype(np.float32)


def test_the_arrangement_is_the_same_on_every_machine_to_the_bit() -> None:
    key = keys.GalleryKey("", bytes(32))
    template = key.arrangement(LENGTHS).template(logits(20))
    assert hashlib.sha256(template.astype("<f4").tobytes()).hexdigest() == PINNED


def test_a_master_key_follows_from_a_key_file_by_hkdf() -> None:
    """The first test case of RFC 5869, whose extracted key is given there."""
    secret = keys.Secret(b"\x0b" * 22)
    assert keys._master(secret, bytes(range(13))).hex() == (
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    )


@pytest.mark.parametrize("bits", LENGTHS)
def test_distances_within_a_gallery_are_those_without_a_key(bits: int) -> None:
    own = logits(40)
    template = keys.new_key(SECRET).arrangement(LENGTHS).template(own)
    plain, keyed = codes.from_logits(own, bits), codes.from_logits(template, bits)
    assert np.array_equal(codes.hamming(plain, plain), codes.hamming(keyed, keyed))
    assert (plain != keyed).any()


def test_codes_of_one_face_are_unrelated_from_gallery_to_gallery() -> None:
    """Of the same secret too. The shares of bits that differ are those of coins."""
    own = logits(1)
    seen = [
        codes.sign(keys.new_key(SECRET).arrangement(LENGTHS).template(own))[0] for _ in range(60)
    ]
    shares = [float((a != b).mean()) for a, b in itertools.combinations(seen, 2)]
    assert abs(np.mean(shares) - 0.5) < 5 * 0.5 / math.sqrt(256 * 30)
    assert max(shares) < 0.7
    assert min(shares) > 0.3


def test_a_template_says_nothing_but_its_arrangement() -> None:
    """All templates have the same sizes in each part, so that these tell no two faces apart."""
    template = np.abs(keys.new_key(SECRET).arrangement(LENGTHS).template(5 * logits(9) ** 3))
    for start, stop in itertools.pairwise((0, *LENGTHS)):
        part = np.sort(template[:, start:stop], 1)
        assert (part == part[0]).all()


def test_templates_are_brought_back_by_whoever_has_the_key() -> None:
    own = logits(9)
    arrangement = keys.new_key(SECRET).arrangement(LENGTHS)
    back = arrangement.undo(arrangement.template(own))
    assert np.array_equal(back > 0, own > 0)
    assert keys.is_template(back)
    assert not keys.is_template(own)
    with pytest.raises(ValueError, match="256"):
        arrangement.undo(own[:, :128])


def test_lengths_of_any_kind_have_an_arrangement() -> None:
    own = logits(3)[:, :7]
    arrangement = keys.new_key(SECRET).arrangement((1, 5, 7))
    assert np.array_equal(arrangement.undo(arrangement.template(own)) > 0, own > 0)


def test_a_logit_of_zero_is_a_zero_bit_with_a_key_too() -> None:
    arrangement = keys.new_key(SECRET).arrangement((8,))
    assert not (arrangement.undo(arrangement.template(np.zeros((1, 8)))) > 0).any()


@pytest.mark.parametrize("secret", [SECRET, keys.passphrase("correct horse battery")])
def test_a_gallery_is_unlocked_by_its_own_secret_alone(secret: keys.Secret) -> None:
    key = keys.new_key(secret)
    assert keys.is_record(key.record)
    assert keys.unlock(key.record, secret, "g") == key
    assert keys.new_key(secret).master != key.master
    other = keys.Secret(secret.value + b"!", secret.derivation)
    with pytest.raises(KeyMismatchError, match="The gallery g was made with another key"):
        keys.unlock(key.record, other, "g")
    of_another_kind = keys.Secret(
        secret.value, "hkdf" if secret.derivation == "scrypt" else "scrypt"
    )
    with pytest.raises(KeyMismatchError, match="was made with a"):
        keys.unlock(key.record, of_another_kind, "g")
    with pytest.raises(KeyMissingError, match="--key-file"):
        keys.unlock(key.record, None, "g")


def test_no_text_shows_a_secret() -> None:
    key = keys.new_key(SECRET)
    shown = f"{SECRET} {key}"
    assert SECRET.value.hex() not in shown
    assert repr(SECRET.value) not in shown
    assert key.master.hex() not in shown
    assert repr(key.master) not in shown


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    made = keys.new_key_file(tmp_path / "my.key")
    assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600
    assert keys.read_key_file(tmp_path / "my.key") == made
    with pytest.raises(ConfigError, match="exists already"):
        keys.new_key_file(tmp_path / "my.key")
    with pytest.raises(ConfigError, match="cannot be written"):
        keys.new_key_file(tmp_path / "no" / "my.key")


def test_what_is_no_private_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    with pytest.raises(ConfigError, match="There is no key file"):
        keys.read_key_file(path)
    keys.new_key_file(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.read_key_file(path)
    for text in (b"", b"daah-key-1 00", b"daah-key-2 " + b"00" * 32, b"\xff\xfe", b"x" * 5000):
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match=r"my\.key"):
            keys.read_key_file(path)


def test_the_operator_gives_a_file_or_a_passphrase(tmp_path: Path) -> None:
    made = keys.new_key_file(tmp_path / "my.key")
    file, text = {keys.KEY_FILE: str(tmp_path / "my.key")}, {keys.PASSPHRASE: "correct horse"}
    assert keys.operator_secret({}) is None
    assert keys.operator_secret(file) == made
    assert keys.operator_secret(text) == keys.passphrase("correct horse")
    with pytest.raises(ConfigError, match="not both"):
        keys.operator_secret(file | text)
    with pytest.raises(ConfigError, match="at least 12 characters"):
        keys.operator_secret({keys.PASSPHRASE: "short"})


@pytest.mark.parametrize("text", ["hkdf:00:00", "md5:" + "00" * 16 + ":" + "00" * 32, "x", "a:b:c"])
def test_what_is_no_record_is_told(text: str) -> None:
    assert not keys.is_record(text)
