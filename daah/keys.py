"""Keys of galleries: an operator's secret, and what it does to the logits of a face.

Codes of a gallery with a key are cancelable templates (ISO/IEC 24745). Between two code lengths,
logits change places and signs, in a way that follows from the operator's secret and from random
bytes of this gallery: an orthogonal map that keeps every distance within the gallery, so that it is
searched exactly as before. What is stored of a logit is its sign and which quarter of its part it
is in by size. Every template is then one of the same set of arrangements, and a random key makes
any of them of any other with the same probability: one template says nothing about another of
another key, of the same secret and person too.

It is no encryption. Whoever knows some of the photos that were enrolled, which the folder of a
gallery holds, can find out the arrangement of that gallery, though not the secret and no other one.
A general rotation would take more known photos, at least as many as a part has logits. But then
distances would not be those that limits were fitted on, and a code that a browser computed could
not be given a key. `benchmarks/protection.py` measures both.

The gallery keeps its random bytes and a check value. The secret is in no file of it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from daah.errors import ConfigError, KeyMismatchError, KeyMissingError

#: Names of the environment: the operator's key file, or a passphrase instead.
KEY_FILE, PASSPHRASE = "DAAH_KEY_FILE", "DAAH_KEY_PASSPHRASE"

#: Shortest passphrase. Whoever has the gallery can try as many as they have time for.
SHORTEST = 12

#: How a master key follows from a secret: a key file has 256 random bits, which needs no delay.
Derivation = Literal["hkdf", "scrypt"]

#: Parameters of scrypt (RFC 7914): 128 MB and some tenths of a second for each attempt.
_SCRYPT = {"n": 2**17, "r": 8, "p": 1, "maxmem": 2**28}

_HEADER = "daah-key-1"
_BYTES = 32
_SALT = 16

#: Size that is stored of a logit by the quarter of its part: means of the quarters of |x| for
#: Gaussian x.
_SIZES = np.array([0.1579, 0.4914, 0.8956, 1.6466], np.float32)


@dataclass(frozen=True)
class Secret:
    """What an operator keeps; its text never says it.

    Attributes:
        value: the bytes of a key file, or a passphrase.
        derivation: how a master key follows from it.
    """

    value: bytes = field(repr=False)
    derivation: Derivation = "hkdf"


def new_key_file(path: Path) -> Secret:
    """Make a key of 256 random bits, in a file that nobody but its owner can read.

    Args:
        path: the file, which must not exist.

    Returns:
        The key.

    Raises:
        ConfigError: the file exists already, or cannot be written.
    """
    value = secrets.token_bytes(_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{_HEADER} {value.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise ConfigError(f"{path} exists already; a key is never replaced.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}).") from error
    return Secret(value)


def read_key_file(path: Path) -> Secret:
    """Read a file of `new_key_file`.

    Args:
        path: the file.

    Returns:
        The key.

    Raises:
        ConfigError: the file is missing, is no key, or can be read by other users.
    """
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1000)
    except FileNotFoundError:
        raise ConfigError(f"There is no key file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The key file {path} cannot be read.") from error
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(
            f"Other users can read the key file {path}; make it private with: chmod 600 {path}"
        )
    header, _, digits = text.strip().partition(" ")
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if header != _HEADER or len(value) != _BYTES:
        raise ConfigError(
            f"{path} is no key file; make one with: python -m daah gallery key new FILE"
        )
    return Secret(value)


def passphrase(text: str) -> Secret:
    """A secret that is a passphrase.

    Args:
        text: the passphrase.

    Returns:
        The secret.

    Raises:
        ConfigError: it has fewer than `SHORTEST` characters.
    """
    if len(text) < SHORTEST:
        raise ConfigError(f"A passphrase of a gallery has at least {SHORTEST} characters.")
    return Secret(text.encode(), "scrypt")


def operator_secret(environ: Mapping[str, str] | None = None) -> Secret | None:
    """The secret that the operator gave to this process.

    Args:
        environ: the environment; None is that of the process.

    Returns:
        The key of the file `DAAH_KEY_FILE` or the passphrase `DAAH_KEY_PASSPHRASE`; None without
        either.

    Raises:
        ConfigError: both are given, or the one that is cannot be used.
    """
    environ = os.environ if environ is None else environ
    path, text = environ.get(KEY_FILE, "").strip(), environ.get(PASSPHRASE, "")
    if path and text:
        raise ConfigError(f"Set {KEY_FILE} or {PASSPHRASE}, not both.")
    if path:
        return read_key_file(Path(path).expanduser())
    return passphrase(text) if text else None


@dataclass(frozen=True)
class GalleryKey:
    """The key of one gallery, as long as it is open; its text never says it.

    Attributes:
        record: what the gallery keeps: derivation, random bytes and check value.
        master: 32 bytes that follow from secret and random bytes.
    """

    record: str
    master: bytes = field(repr=False)

    def arrangement(self, lengths: Sequence[int]) -> Arrangement:
        """The arrangement of logits whose prefixes of these lengths are codes.

        Args:
            lengths: code lengths; the longest is the whole code.

        Returns:
            The arrangement, always the same for the same key and lengths.
        """
        return Arrangement(_subkey(self.master, b"arrangement"), lengths)


def new_key(secret: Secret) -> GalleryKey:
    """The key of a new gallery.

    Args:
        secret: the operator's.

    Returns:
        A key that no other gallery has, of the same secret either.
    """
    salt = secrets.token_bytes(_SALT)
    master = _master(secret, salt)
    check = _subkey(master, b"check").hex()
    return GalleryKey(f"{secret.derivation}:{salt.hex()}:{check}", master)


def unlock(record: str, secret: Secret | None, gallery: str) -> GalleryKey:
    """The key of a gallery that exists.

    Args:
        record: what the gallery keeps.
        secret: the operator's; None for none.
        gallery: name of the gallery, for errors.

    Returns:
        Its key.

    Raises:
        KeyMissingError: there is no secret.
        KeyMismatchError: the gallery was made with another one.
    """
    derivation, _, rest = record.partition(":")
    salt, _, check = rest.partition(":")
    kind = "a passphrase" if derivation == "scrypt" else "a key file"
    if secret is None:
        raise KeyMissingError(
            f"The gallery {gallery} can be opened with its key alone, which is {kind}. Name it "
            f"with --key-file FILE or {KEY_FILE}, or set {PASSPHRASE}."
        )
    if secret.derivation != derivation:
        raise KeyMismatchError(f"The gallery {gallery} was made with {kind}, which was not given.")
    master = _master(secret, bytes.fromhex(salt))
    if not hmac.compare_digest(_subkey(master, b"check").hex(), check):
        raise KeyMismatchError(
            f"The gallery {gallery} was made with another key than the one that was given."
        )
    return GalleryKey(record, master)


def is_record(text: str) -> bool:
    """Whether a text is what a gallery keeps of its key.

    Args:
        text: of a gallery's file.

    Returns:
        Whether `unlock` can read it.
    """
    parts = text.split(":")
    if len(parts) != 3 or parts[0] not in ("hkdf", "scrypt"):
        return False
    try:
        salt, check = map(bytes.fromhex, parts[1:])
    except ValueError:
        return False
    return (len(salt), len(check)) == (_SALT, 32)


def keyed_fingerprint(fingerprint: str, record: str) -> str:
    """Fingerprint of codes, which differ by their model and by their gallery's key.

    Args:
        fingerprint: of the model.
        record: what the gallery keeps of its key; "" without one.

    Returns:
        Hexadecimal digits; those of the model without a key.
    """
    if not record:
        return fingerprint
    return hashlib.sha256(f"daah keyed codes\n{fingerprint}\n{record}".encode()).hexdigest()


class Arrangement:
    """Places and signs of logits, between two code lengths each.

    It follows from bytes by whole numbers alone, so that it is the same on every machine.

    Args:
        seed: secret bytes.
        lengths: code lengths; the longest is the whole code.
    """

    def __init__(self, seed: bytes, lengths: Sequence[int]) -> None:
        bounds = [0, *sorted(set(lengths))]
        self.bits = bounds[-1]
        self._parts = [slice(*pair) for pair in itertools.pairwise(bounds)]
        order, flips = zip(*(_drawn(seed, part) for part in self._parts), strict=True)
        self._order, self._flips = np.concatenate(order), np.concatenate(flips)

    def template(self, logits: np.ndarray) -> np.ndarray:
        """What is kept of logits: order and signs arranged, and sizes that every template has.

        Args:
            logits: (N, K) of any float type.

        Returns:
            (N, K) float32, none of them 0.

        Raises:
            ValueError: K is not the length of the whole code.
        """
        logits = self._checked(logits)
        sizes = np.empty_like(logits)
        for part in self._parts:
            own = np.abs(logits[:, part])
            rank = own.argsort(1, kind="stable").argsort(1, kind="stable")
            sizes[:, part] = _SIZES[4 * rank // own.shape[1]]
        signed = np.where(logits > 0, sizes, -sizes)[:, self._order]
        return np.where(self._flips, -signed, signed)

    def undo(self, logits: np.ndarray) -> np.ndarray:
        """Bring templates back to the places and signs of the network's logits.

        Args:
            logits: (N, K) of `template`.

        Returns:
            (N, K) float32.

        Raises:
            ValueError: K is not the length of the whole code.
        """
        logits = self._checked(logits)
        back = np.empty_like(logits)
        back[:, self._order] = np.where(self._flips, -logits, logits)
        return back

    def _checked(self, logits: np.ndarray) -> np.ndarray:
        logits = np.asarray(logits, np.float32)
        if logits.ndim != 2 or logits.shape[1] != self.bits:
            raise ValueError(f"arrangement: expected (N, {self.bits}) logits, got {logits.shape}")
        return logits


def is_template(logits: np.ndarray) -> bool:
    """Whether logits are those of templates of some key.

    Args:
        logits: (N, K).

    Returns:
        Whether all of them have the sizes that templates have.
    """
    return bool(np.isin(np.abs(logits), _SIZES).all())


def _master(secret: Secret, salt: bytes) -> bytes:
    if secret.derivation == "scrypt":
        return hashlib.scrypt(secret.value, salt=salt, dklen=32, **_SCRYPT)
    return hmac.digest(salt, secret.value, "sha256")  # HKDF-Extract of RFC 5869


def _subkey(master: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 to 32 bytes."""
    return hmac.digest(master, b"daah " + purpose + b"\x01", "sha256")


def _drawn(seed: bytes, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Order (M,) int64 of the logits of a part, and (M,) bool: whose sign changes.

    64 bits of SHAKE256 order a place; equal ones, one in 2^50, keep their order.
    """
    size = part.stop - part.start
    stream = hashlib.shake_256(seed + f" {part.start} {part.stop}".encode()).digest(9 * size)
    words = np.frombuffer(stream[: 8 * size], "<u8")
    flips = np.frombuffer(stream[8 * size :], np.uint8) > 127
    return part.start + words.argsort(kind="stable"), flips
