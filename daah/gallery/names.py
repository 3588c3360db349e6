"""Names of people and photos: validation, ids, and comparison in searches by name."""

from __future__ import annotations

import hashlib
import unicodedata

from daah.errors import ConfigError

_LONGEST = 200


def entry_id(person: str, photo: str) -> int:
    """Id of a person's photo: 63 bits of the SHA-256 hash of both names.

    Args:
        person: name of the person.
        photo: name of the photo.

    Returns:
        0 to 2**63 - 1.
    """
    digest = hashlib.sha256(f"{person}\0{photo}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def checked_name(what: str, name: str) -> str:
    """Validate and normalise a name: trimmed, in Unicode's composed form (NFC).

    Args:
        what: "person" or "photo", for the error.
        name: the name.

    Returns:
        The normalised name.

    Raises:
        ConfigError: the name is empty, too long, or has control characters or invalid Unicode.
    """
    try:
        name = unicodedata.normalize("NFC", name.strip())
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"The {what}'s name is not valid Unicode; rename it.") from None
    if not name:
        raise ConfigError(f"The {what} needs a name.")
    if len(name) > _LONGEST:
        raise ConfigError(f"The {what}'s name is longer than {_LONGEST} characters.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ConfigError(f"The {what}'s name holds control characters.")
    return name


def plain(text: str) -> str:
    """Normalise text for comparison: without case and accents.

    Args:
        text: the text.

    Returns:
        The normalised text.
    """
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
