"""The table of people: one row per person, with the template of their photos.

Every change of `face` recomputes the templates of the people whom it touches, in the same
transaction, from the stored logits of all their photos.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daah.codes import from_logits, nbytes
from daah.errors import GalleryError
from daah.stores.base import CodeSpec
from daah.stores.people import code_logits, person_id, sums
from daah.stores.sqlite import schema
from daah.stores.sqlite.schema import DAMAGED, PersonRow
from daah.stores.sqlite.snapshot import Segment, compact, padded

#: Rows read at a time; few enough to stay in the cache of a core.
READ_ROWS = 1000

#: People, or rows of the table, that are asked for with one statement.
AT_ONCE = 64

_MARKS = ", ".join("?" * AT_ONCE)
_PHOTOS = (
    "SELECT f.id, f.code, f.person, f.photo, f.added_at, f.crc, l.value, l.crc FROM face AS f "
    "LEFT JOIN logits AS l ON l.id = f.id"
)
_PHOTOS_OF = f"{_PHOTOS} WHERE f.person IN ({_MARKS}) ORDER BY f.person, f.id"
_PHOTOS_OF_ALL = f"{_PHOTOS} ORDER BY f.person, f.id"
_PHOTOS_EARLIER = "SELECT id, code, person, photo, added_at, crc FROM face"
_PHOTOS_OF_EARLIER = f"{_PHOTOS_EARLIER} WHERE person IN ({_MARKS}) ORDER BY person, id"
_PHOTOS_OF_ALL_EARLIER = f"{_PHOTOS_EARLIER} ORDER BY person, id"
_PEOPLE = "SELECT id, code, person, name, photos, ids, crc FROM person"
_PEOPLE_OF = f"{_PEOPLE} WHERE id IN ({_MARKS})"
_INSERT = "INSERT OR REPLACE INTO person VALUES (?, ?, ?, ?, ?, ?, ?)"
_LOGITS = f"SELECT id, value, crc FROM logits WHERE id IN ({_MARKS})"


_OTHERS = "people have other photos than they should"


@dataclass(frozen=True, eq=False)
class Change:
    """What a write changed in the table.

    Attributes:
        ids: (M,) int64 ascending, the people whose rows changed.
        come: the rows that they have now; those without one are removed.
    """

    ids: np.ndarray
    come: Segment


class PeopleTable:
    """The table of one gallery. It holds no connection and no rows.

    Args:
        spec: what the codes are made with.
        name: name of the gallery, for errors.
    """

    def __init__(self, spec: CodeSpec, name: str) -> None:
        self._spec = spec
        self._name = name

    def update(
        self,
        connection: sqlite3.Connection,
        head: schema.Head,
        gone: Sequence[tuple[str, int]],
        come: Sequence[tuple[str, int]],
        names: Mapping[str, str],
    ) -> Change:
        """Bring the rows of people up to date, within the transaction that changed their photos.

        Args:
            connection: the database.
            head: the head after the change.
            gone: identifier of the person and id, of the photos that were removed or replaced.
            come: the same of the photos that were inserted, or that replaced others.
            names: display names that were given, by identifier.

        Returns:
            The change.

        Raises:
            GalleryError: the table does not fit the photos, or two identifiers have one number.
        """
        photos: Counter[str] = Counter()  # that each has more than before; below 0 for fewer
        ids: Counter[str] = Counter()  # by how much the sum of their ids grew
        for sign, rows in ((-1, gone), (1, come)):
            for person, id in rows:
                photos[person] += sign
                ids[person] += sign * id
        numbers = {person_id(person): person for person in photos}
        before = {row[0]: row for row in self.rows(connection, numbers)}
        found = {row[2]: row for row in self.made(connection, [*photos])}
        changed, after = [], []
        for number, person in sorted(numbers.items()):
            old = before.get(number)
            if old is not None and old[2] != person:
                raise GalleryError(
                    f"{self._name} cannot hold {person!r} beside {old[2]!r}: the two identifiers "
                    "have the same number. Choose another identifier."
                )
            made = found.pop(person, None)
            had, has = (old[4:6] if old else (0, 0)), (made[4:6] if made else (0, 0))
            if has != (had[0] + photos[person], (had[1] + ids[person]) % 2**62):
                raise self._damaged(_OTHERS)
            if made is None:
                connection.execute("DELETE FROM person WHERE id = ?", (number,))
                changed.append(number)
                continue
            name = names.get(person) or (old[3] if old else "")
            values = (*made[:3], name, *made[4:6])
            row = (*values, schema.person_crc(*values))
            if row != old:
                connection.execute(_INSERT, row)
                changed.append(number)
                after.append(row)
        if found:
            raise self._damaged(_OTHERS)
        self._count(connection, head, [before[n] for n in changed if n in before], after)
        first = head.generation - schema.CHANGES_KEPT
        connection.execute("DELETE FROM person_change WHERE generation <= ?", (first,))
        connection.executemany(
            "INSERT INTO person_change VALUES (?, ?, ?)",
            ((head.generation, n, schema.change_crc(head.generation, n)) for n in changed),
        )
        return Change(np.array(changed, np.int64), self.segment(after))

    def fill(self, connection: sqlite3.Connection, head: schema.Head) -> None:
        """Fill the empty tables of logits and people from all photos, within a transaction.

        Args:
            connection: the database.
            head: the head.

        Raises:
            GalleryError: a photo is damaged.
        """
        schema.write_people(connection, head.uuid, schema.People(0, 0))
        ids = [row[0] for row in connection.execute("SELECT id FROM face")]
        connection.executemany(
            "INSERT INTO logits VALUES (?, ?, ?)",
            ((id, b"", schema.logits_crc(id, b"")) for id in ids),
        )
        for part in _parts(self.made(connection), READ_ROWS):
            connection.executemany(_INSERT, part)
            self._count(connection, head, [], part)

    def made(
        self, connection: sqlite3.Connection, people: Sequence[str] | None = None
    ) -> Iterator[PersonRow]:
        """Rows of people, computed from their photos, without display names.

        Args:
            connection: the database, of this or an earlier version.
            people: identifiers; None for all.

        Yields:
            The rows, by identifier.

        Raises:
            GalleryError: a photo is damaged.
        """
        for person, total, photos, ids in self._sums(connection, people):
            code = from_logits(total).tobytes()
            values = (person_id(person), code, person, "", photos, ids % 2**62)
            yield (*values, schema.person_crc(*values))

    def mean_logits(
        self, connection: sqlite3.Connection, rows: Iterable[PersonRow]
    ) -> dict[int, np.ndarray]:
        """Means of the logits of the photos of people.

        Args:
            connection: the database, of this or an earlier version.
            rows: the people, with whose number and sum of ids the photos are compared.

        Returns:
            (K,) float64 by number of the person.

        Raises:
            GalleryError: a photo is damaged, or the person has others.
        """
        expected = {row[2]: row for row in rows}
        found = {}
        for person, total, photos, ids in self._sums(connection, sorted(expected)):
            row = expected.pop(person)
            if (photos, ids % 2**62) != row[4:6]:
                raise self._damaged(_OTHERS)
            found[row[0]] = total / photos
        if expected:
            raise self._damaged(_OTHERS)
        return found

    def check(self, connection: sqlite3.Connection, head: schema.Head) -> None:
        """Compute every template again and compare it with its row.

        Args:
            connection: the database.
            head: the gallery's head.

        Raises:
            GalleryError: a template, or a number of photos, is another.
        """
        people = 0
        for part in _parts(self.made(connection), AT_ONCE):
            rows = {row[0]: row for row in self.rows(connection, [row[0] for row in part])}
            for row in part:
                held = rows.get(row[0])
                if held is None or held[1:3] + held[4:6] != row[1:3] + row[4:6]:
                    raise self._damaged("people are not what their photos give")
            people += len(part)
        if people != schema.read_people(connection, head.uuid, self._name).count:
            raise self._damaged("people are missing or too many")

    def rows(self, connection: sqlite3.Connection, numbers: Iterable[int]) -> list[PersonRow]:
        """Rows of people, each checked.

        Args:
            connection: the database.
            numbers: numbers of the people.

        Returns:
            The rows that exist, in no order.

        Raises:
            GalleryError: a row is damaged.
        """
        found: list[PersonRow] = []
        for part in _parts(numbers, AT_ONCE):
            asked = part + part[-1:] * (AT_ONCE - len(part))  # one statement, prepared once
            found += connection.execute(_PEOPLE_OF, asked).fetchall()
        schema.check_person_rows(found, self._width, self._name)
        return found

    def all_rows(
        self, connection: sqlite3.Connection, head: schema.Head
    ) -> Iterator[list[PersonRow]]:
        """All rows by number, compared with their count and the sum of their checksums.

        Args:
            connection: the database.
            head: the gallery's head.

        Yields:
            Rows in batches.

        Raises:
            GalleryError: rows are damaged, missing or too many.
        """
        expected = schema.read_people(connection, head.uuid, self._name)
        cursor = connection.execute(f"{_PEOPLE} ORDER BY id")
        count = crc_sum = 0
        while batch := cursor.fetchmany(READ_ROWS):
            schema.check_person_rows(batch, self._width, self._name)
            count, crc_sum = count + len(batch), crc_sum + sum(row[6] for row in batch)
            yield batch
        if (count, crc_sum % 2**62) != (expected.count, expected.crc_sum):
            raise self._damaged("people are missing or too many")

    def photos(
        self, connection: sqlite3.Connection, rows: Iterable[PersonRow]
    ) -> dict[int, np.ndarray]:
        """Ids of the photos of people.

        Args:
            connection: the database.
            rows: the people, with whose number and sum of ids the photos are compared.

        Returns:
            (N,) int64, ascending, by number of the person.

        Raises:
            GalleryError: the person has other photos.
        """
        found = {}
        for number, _, person, _, count, total, _ in rows:
            own = connection.execute("SELECT id FROM face WHERE person = ? ORDER BY id", (person,))
            ids = [row[0] for row in own]
            if (len(ids), sum(ids) % 2**62) != (count, total):
                raise self._damaged(_OTHERS)
            found[number] = np.array(ids, np.int64)
        return found

    def logits(
        self, connection: sqlite3.Connection, ids: np.ndarray, codes: np.ndarray
    ) -> np.ndarray:
        """Logits of photos: the stored ones, or -1 and 1 by the bits of the code.

        Args:
            connection: the database.
            ids: (N,) int64.
            codes: (N, B) uint8, their packed codes.

        Returns:
            (N, K) float32.

        Raises:
            GalleryError: logits are damaged.
        """
        rows: dict[int, tuple[bytes | None, int | None]] = {}
        for part in _parts(ids.tolist(), AT_ONCE):
            asked = part + part[-1:] * (AT_ONCE - len(part))
            rows |= {id: (value, crc) for id, value, crc in connection.execute(_LOGITS, asked)}
        stored = [(id, *rows.get(id, (None, None))) for id in ids.tolist()]
        return self._decoded(stored, codes)

    def segment(self, rows: Sequence[PersonRow]) -> Segment:
        """Rows as they are searched.

        Args:
            rows: by ascending number.

        Returns:
            Numbers and padded templates.
        """
        packed = np.frombuffer(b"".join(row[1] for row in rows), np.uint8)
        codes = padded(packed.reshape(len(rows), self._width))
        return Segment(compact(np.array([row[0] for row in rows], np.int64)), codes)

    # --- small parts ----------------------------------------------------------------------------

    def _sums(
        self, connection: sqlite3.Connection, people: Sequence[str] | None
    ) -> Iterator[tuple[str, np.ndarray, int, int]]:
        """Person, sum of the logits, number and sum of the ids of the photos."""
        earlier = schema.version(connection) < schema.WITH_PEOPLE
        for cursor in self._cursors(connection, people, earlier):
            last: tuple[str, np.ndarray, int, int] | None = None
            while batch := cursor.fetchmany(READ_ROWS):
                schema.check_faces((row[:6] for row in batch), self._width, self._name)
                packed = np.frombuffer(b"".join(row[1] for row in batch), np.uint8)
                codes = packed.reshape(len(batch), self._width)
                if earlier:
                    logits = code_logits(codes, self._spec.bits)
                else:
                    logits = self._decoded([(row[0], *row[6:]) for row in batch], codes)
                for person, total, own in sums([row[2] for row in batch], logits):
                    new = (person, total, own.stop - own.start, sum(row[0] for row in batch[own]))
                    if last is not None and last[0] == person:
                        new = (person, *(a + b for a, b in zip(last[1:], new[1:], strict=True)))
                    elif last is not None:
                        yield last
                    last = new
            if last is not None:
                yield last

    def _cursors(
        self, connection: sqlite3.Connection, people: Sequence[str] | None, earlier: bool
    ) -> Iterator[sqlite3.Cursor]:
        """Rows of `face` and `logits`, of these people or of all, sorted by person and id."""
        if people is None:
            yield connection.execute(_PHOTOS_OF_ALL_EARLIER if earlier else _PHOTOS_OF_ALL)
            return
        statement = _PHOTOS_OF_EARLIER if earlier else _PHOTOS_OF
        for part in _parts(people, AT_ONCE):
            yield connection.execute(statement, part + part[-1:] * (AT_ONCE - len(part)))

    def _decoded(self, rows: Sequence[tuple[int, bytes, int]], codes: np.ndarray) -> np.ndarray:
        """Logits (N, K) float32 of rows (id, value, crc) of `logits`; -1 and 1 for empty ones."""
        bits = self._spec.bits
        logits = np.empty((len(rows), bits), np.float32)
        empty = []
        for i, (id, value, crc) in enumerate(rows):
            if not isinstance(value, bytes) or schema.logits_crc(id, value) != crc:
                raise self._damaged("logits are missing, or not as they were written")
            if value:
                logits[i] = np.frombuffer(value, "<f4", bits)
            else:
                empty.append(i)
        if empty:
            logits[empty] = code_logits(codes[empty], bits)
        return logits

    def _count(
        self,
        connection: sqlite3.Connection,
        head: schema.Head,
        gone: Sequence[PersonRow],
        come: Sequence[PersonRow],
    ) -> None:
        now = schema.read_people(connection, head.uuid, self._name)
        crc_sum = now.crc_sum + sum(row[6] for row in come) - sum(row[6] for row in gone)
        after = schema.People(now.count + len(come) - len(gone), crc_sum % 2**62)
        schema.write_people(connection, head.uuid, after)

    @property
    def _width(self) -> int:
        return nbytes(self._spec.bits)

    def _damaged(self, what: str) -> GalleryError:
        return GalleryError(f"{self._name} is damaged: {what}. {DAMAGED}")


def _parts(items: Iterable, size: int) -> Iterator[list]:
    part: list = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
