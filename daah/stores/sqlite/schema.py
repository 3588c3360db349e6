"""Tables of a gallery file, and the checks that detect damage.

Each row of `face` has a CRC-32 of its values. The one row of `gallery` has the number of rows and
the sum of their CRCs. So a changed, a missing and a surplus row are all detected when the table is
read; a row fetched later is checked by its own CRC. `change` lists the ids of the last writes, so
that another process can catch up without reading everything again. `packed` has the digests of the
files of packed codes (see `code_cache`): only those that were written are trusted.

`logits` has the logits of each row of `face`, empty for one that came without. `person` has one row
per person with the template of their photos, written in the transaction that changes these;
`people` counts and sums its rows, and `person_change` lists the last that changed.
"""

from __future__ import annotations

import sqlite3
import struct
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daah.errors import GalleryError
from daah.stores.base import CodeSpec

#: "daah" as a number: marks a SQLite file as one of ours.
APPLICATION_ID = 0x64616168
VERSION = 3

#: Changed ids that the file remembers for readers that catch up.
CHANGES_KEPT = 20_000

TABLES = (
    "CREATE TABLE gallery (only_row INTEGER PRIMARY KEY, uuid BLOB NOT NULL, bits INTEGER NOT NULL,"
    " fingerprint TEXT NOT NULL, alignment TEXT NOT NULL, bit_order TEXT NOT NULL,"
    " generation INTEGER NOT NULL, faces INTEGER NOT NULL, crc_sum INTEGER NOT NULL,"
    " crc INTEGER NOT NULL)",
    "CREATE TABLE face (id INTEGER PRIMARY KEY, code BLOB NOT NULL, person TEXT NOT NULL,"
    " photo TEXT NOT NULL, added_at REAL NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE change (generation INTEGER PRIMARY KEY, id INTEGER NOT NULL,"
    " crc INTEGER NOT NULL)",
    "CREATE TABLE packed (only_row INTEGER PRIMARY KEY, sha256 BLOB NOT NULL)",
    "CREATE TABLE logits (id INTEGER PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE person (id INTEGER PRIMARY KEY, code BLOB NOT NULL, person TEXT NOT NULL,"
    " name TEXT NOT NULL, photos INTEGER NOT NULL, ids INTEGER NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE people (only_row INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
    " crc_sum INTEGER NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE person_change (generation INTEGER, id INTEGER, crc INTEGER NOT NULL,"
    " PRIMARY KEY (generation, id)) WITHOUT ROWID",
    "CREATE INDEX face_person ON face (person)",
)

#: First version with people; in a file of an earlier one templates are computed when it is read.
WITH_PEOPLE = 3

#: Tables of each version. A file of an earlier one gets the rest when it is opened for writing.
_TABLES = {1: TABLES[:3], 2: TABLES[:4], VERSION: TABLES}

#: Rows of `packed`: the file of packed codes, and that of packed templates.
CODES, TEMPLATES = 1, 2

DAMAGED = "Restore the gallery from a copy or build it again."


@dataclass(frozen=True)
class Head:
    """The one row of `gallery`.

    Attributes:
        uuid: 16 random bytes that identify the gallery.
        spec: what the codes are made with.
        generation: number of row changes ever committed.
        faces: number of rows of `face`.
        crc_sum: sum of the CRC-32 of these rows, modulo 2**62.
    """

    uuid: bytes
    spec: CodeSpec
    generation: int
    faces: int
    crc_sum: int

    @property
    def crc(self) -> int:
        """CRC-32 of everything else in the row."""
        spec = (self.spec.bits, self.spec.fingerprint, self.spec.alignment, self.spec.bit_order)
        return zlib.crc32(repr((self.uuid, *spec, *self.counters)).encode())

    @property
    def counters(self) -> tuple[int, int, int]:
        """What every write changes."""
        return self.generation, self.faces, self.crc_sum


@dataclass(frozen=True)
class People:
    """The one row of `people`.

    Attributes:
        count: number of rows of `person`.
        crc_sum: sum of the CRC-32 of these rows, modulo 2**62.
    """

    count: int
    crc_sum: int

    def crc(self, uuid: bytes) -> int:
        """CRC-32 of the row.

        Args:
            uuid: that of the gallery.

        Returns:
            The checksum.
        """
        return zlib.crc32(repr((uuid, self.count, self.crc_sum)).encode())


#: A row of `face`: id, code, person, photo, added_at, crc.
Face = tuple[int, bytes, str, str, float, int]

#: A row of `person`: id, code, person, name, photos, ids, crc. `ids` is the sum of the ids of the
#: photos modulo 2**62, with which what an index gives is compared.
PersonRow = tuple[int, bytes, str, str, int, int, int]

_fixed = struct.Struct("<qdI").pack
_person_fixed = struct.Struct("<qqqI").pack


def face_crc(id: int, code: bytes, person: str, photo: str, added_at: float) -> int:
    """CRC-32 of a row of `face`.

    Args:
        id: id of the row.
        code: packed code.
        person: name of the person.
        photo: name of the photo.
        added_at: seconds since 1970.

    Returns:
        The checksum.
    """
    name = person.encode()
    return zlib.crc32(photo.encode(), zlib.crc32(_fixed(id, added_at, len(name)) + code + name))


def check_faces(rows: Iterable[Face], width: int, name: str) -> None:
    """Check that rows of `face` are as they were written.

    Args:
        rows: the rows.
        width: bytes of a code.
        name: name of the gallery, for the error.

    Raises:
        GalleryError: a row is damaged.
    """
    crc32 = zlib.crc32
    try:
        for id, code, person, photo, added_at, crc in rows:  # as `face_crc`, millions of times
            key = person.encode()
            if crc32(photo.encode(), crc32(_fixed(id, added_at, len(key)) + code + key)) != crc:
                break
            if len(code) != width:
                raise GalleryError(f"{name} is damaged: a code is cut. {DAMAGED}")
        else:
            return
    except (TypeError, AttributeError, struct.error):  # a flipped byte gave a value another type
        pass
    raise GalleryError(f"{name} is damaged: a row is not as it was written. {DAMAGED}")


def logits_crc(id: int, value: bytes) -> int:
    """CRC-32 of a row of `logits`.

    Args:
        id: id of the row of `face`.
        value: float32 logits, little-endian; empty for a row without.

    Returns:
        The checksum.
    """
    return zlib.crc32(value, zlib.crc32(struct.pack("<q", id)))


def person_crc(id: int, code: bytes, person: str, name: str, photos: int, ids: int) -> int:
    """CRC-32 of a row of `person`.

    Args:
        id: number of the person.
        code: packed template.
        person: identifier.
        name: display name.
        photos: number of photos.
        ids: sum of their ids, modulo 2**62.

    Returns:
        The checksum.
    """
    key = person.encode()
    fixed = _person_fixed(id, photos, ids, len(key))
    return zlib.crc32(name.encode(), zlib.crc32(fixed + code + key))


def check_person_rows(rows: Iterable[PersonRow], width: int, name: str) -> None:
    """Check that rows of `person` are as they were written.

    Args:
        rows: the rows.
        width: bytes of a template.
        name: name of the gallery, for the error.

    Raises:
        GalleryError: a row is damaged.
    """
    crc32 = zlib.crc32
    try:
        for id, code, person, shown, photos, ids, crc in rows:  # as `person_crc`, millions of times
            key = person.encode()
            fixed = _person_fixed(id, photos, ids, len(key))
            if crc32(shown.encode(), crc32(fixed + code + key)) != crc or len(code) != width:
                break
        else:
            return
    except (TypeError, AttributeError, struct.error):  # a flipped byte gave a value another type
        pass
    raise GalleryError(f"{name} is damaged: a person is not as they were written. {DAMAGED}")


def change_crc(generation: int, id: int) -> int:
    """CRC-32 of a row of `change`.

    Args:
        generation: generation of the change.
        id: id of the changed row.

    Returns:
        The checksum.
    """
    return zlib.crc32(struct.pack("<qq", generation, id))


def create(connection: sqlite3.Connection, spec: CodeSpec) -> None:
    """Create the tables of an empty gallery in one transaction.

    Args:
        connection: a new database.
        spec: what the codes are made with.
    """
    head = Head(uuid.uuid4().bytes, spec, generation=0, faces=0, crc_sum=0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    for table in TABLES:
        connection.execute(table)
    connection.execute(
        "INSERT INTO gallery VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            head.uuid,
            spec.bits,
            spec.fingerprint,
            spec.alignment,
            spec.bit_order,
            *head.counters,
            head.crc,
        ),
    )
    write_people(connection, head.uuid, People(0, 0))
    connection.execute("COMMIT")


def check_layout(connection: sqlite3.Connection, name: str) -> None:
    """Check that the file has exactly the tables of a version that can be read.

    Args:
        connection: the database.
        name: name of the gallery, for the error.

    Raises:
        GalleryError: it has not.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise GalleryError(f"{name} is not a gallery of codes, or is damaged. {DAMAGED}")
    found = version(connection)
    if found not in _TABLES:
        raise GalleryError(
            f"{name} is a gallery of version {found}; this program reads versions 1 to "
            f"{VERSION}. Build the gallery again."
        )
    made = connection.execute("SELECT sql FROM sqlite_master ORDER BY rowid")
    if [row[0] for row in made] != list(_TABLES[found]):
        raise GalleryError(f"{name} is damaged: its tables are not as they were made. {DAMAGED}")


def version(connection: sqlite3.Connection) -> int:
    """Version of the tables of a file.

    Args:
        connection: the database.

    Returns:
        The version, 1 to `VERSION`.
    """
    return connection.execute("PRAGMA user_version").fetchone()[0]


def add_tables(connection: sqlite3.Connection) -> None:
    """Add the tables of this version to a file of an earlier one, within a transaction.

    Args:
        connection: the database.
    """
    for table in TABLES[len(_TABLES[version(connection)]) :]:
        connection.execute(table)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def read_packed(connection: sqlite3.Connection, which: int = CODES) -> bytes | None:
    """Digest of a file of packed codes that this gallery wrote last.

    Args:
        connection: the database.
        which: `CODES` or `TEMPLATES`.

    Returns:
        The digest; None without one.
    """
    if version(connection) == 1:
        return None
    found = connection.execute("SELECT sha256 FROM packed WHERE only_row = ?", (which,)).fetchone()
    return found[0] if found and isinstance(found[0], bytes) else None


def write_packed(connection: sqlite3.Connection, digest: bytes, which: int = CODES) -> None:
    """Store the digest of a file of packed codes.

    Args:
        connection: the database.
        digest: the digest.
        which: `CODES` or `TEMPLATES`.
    """
    connection.execute("INSERT OR REPLACE INTO packed VALUES (?, ?)", (which, digest))


def read_people(connection: sqlite3.Connection, uuid: bytes, name: str) -> People:
    """Read the number of people and the sum of their checksums.

    Args:
        connection: the database.
        uuid: that of the gallery.
        name: name of the gallery, for the error.

    Returns:
        Both.

    Raises:
        GalleryError: the row is missing or damaged.
    """
    rows = connection.execute("SELECT * FROM people").fetchall()
    if len(rows) == 1:
        _, count, crc_sum, crc = rows[0]
        people = People(count, crc_sum)
        if people.crc(uuid) == crc:
            return people
    raise GalleryError(f"{name} is damaged: its people do not add up. {DAMAGED}")


def write_people(connection: sqlite3.Connection, uuid: bytes, people: People) -> None:
    """Store the number of people and the sum of their checksums.

    Args:
        connection: the database.
        uuid: that of the gallery.
        people: both.
    """
    connection.execute(
        "INSERT OR REPLACE INTO people VALUES (1, ?, ?, ?)",
        (people.count, people.crc_sum, people.crc(uuid)),
    )


def check_pages(connection: sqlite3.Connection, name: str) -> None:
    """Run SQLite's quick_check before the first write, which could spread damage.

    Args:
        connection: the database.
        name: name of the gallery, for the error.

    Raises:
        GalleryError: the check fails.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise GalleryError(f"{name} is damaged ({found}). {DAMAGED}")


def read_head(connection: sqlite3.Connection, name: str) -> Head:
    """Read the head of the gallery.

    Args:
        connection: the database.
        name: name of the gallery, for the error.

    Returns:
        The head.

    Raises:
        GalleryError: it is missing or damaged.
    """
    rows = connection.execute("SELECT * FROM gallery").fetchall()
    if len(rows) == 1:
        _, key, bits, fingerprint, alignment, order, generation, faces, crc_sum, crc = rows[0]
        spec = CodeSpec(bits, fingerprint, alignment, order)
        head = Head(key, spec, generation, faces, crc_sum)
        if head.crc == crc:
            return head
    raise GalleryError(f"{name} is damaged: its description does not add up. {DAMAGED}")


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Store the counters that a write changed.

    Args:
        connection: the database.
        head: the new head.
    """
    connection.execute(
        "UPDATE gallery SET generation = ?, faces = ?, crc_sum = ?, crc = ?",
        (*head.counters, head.crc),
    )


def check_spec(found: CodeSpec, wanted: CodeSpec, name: str) -> None:
    """Check that a gallery has the expected model and alignment.

    Args:
        found: spec of the gallery.
        wanted: expected spec.
        name: name of the gallery, for the error.

    Raises:
        GalleryError: they differ; the text has both.
    """
    if found != wanted:
        raise GalleryError(
            f"{name} was made with {found}, but {wanted} is asked for. "
            "Open it with the checkpoint it was made with, or build the gallery again."
        )


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Context in which errors of sqlite3 become a GalleryError that says what to do.

    Args:
        name: name of the gallery, for the error.

    Raises:
        GalleryError: the block raised an error of sqlite3.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if code is not None else None
        if primary == sqlite3.SQLITE_FULL:
            text = "is on a full disk; nothing was changed. Free some space and try again."
        elif primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            text = (
                "could not be read or written by the system; nothing was changed. Check free "
                "space, limits and permissions of its folder."
            )
        elif primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            text = "may not be written by this user. Open it read-only or change its permissions."
        elif primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            text = "is busy with another program. Try again in a moment."
        else:  # malformed pages, pages that are no database, values of the wrong type
            text = f"is damaged ({error}). {DAMAGED}"
        raise GalleryError(f"{name} {text}") from error
    except UnicodeDecodeError as error:  # sqlite3 fails so while it words its own error
        raise GalleryError(f"{name} is damaged: its tables cannot be read. {DAMAGED}") from error
    except MemoryError as error:  # a flipped byte in a record header can ask for absurd sizes
        raise GalleryError(f"{name} needs more memory than there is, or is damaged.") from error
