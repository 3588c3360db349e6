"""Names of people and photos: how they are kept, what they make of an id, how they are found."""

from __future__ import annotations

import hashlib
import unicodedata

from daah.errors import ConfigError

_LONGEST = 200


def entry_id(person: str, photo: str) -> int:
    """The id of a person's photo: 63 bits of a hash of both names, the same everywhere."""
    digest = hashlib.sha256(f"{person}\0{photo}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def checked_name(what: str, name: str) -> str:
    """A person's or photo's name as it is kept: trimmed, in Unicode's composed form (NFC).

    Raises ConfigError for an empty or overlong name, or one with control characters.
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
    """A text as it is compared when people are looked for: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
