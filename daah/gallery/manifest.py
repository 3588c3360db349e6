"""Lists of photos to enrol and of entries to remove: folders, CSV, Parquet and JSON Lines."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daah.data.sources import SUFFIXES, folder
from daah.errors import DaahError, DataError
from daah.extras import extra_packages
from daah.gallery.names import checked_name, entry_id


@dataclass(frozen=True)
class Named:
    """People and entries named by a list.

    Attributes:
        people: names of people, with all their entries.
        ids: ids of single entries.
    """

    people: frozenset[str]
    ids: frozenset[int]


def read_list(path: Path) -> Named:
    """Read a list of people and entries, one per line.

    A line with an `id` names that entry; a line with only a `person` names all entries of that
    person.

    Args:
        path: .jsonl, as `export` writes it, or .csv.

    Returns:
        The people and entries.

    Raises:
        DataError: a line cannot be read; the text says which.
    """
    people, ids = set(), set()
    for number, record in _records(Path(path)):
        id_, person = record.get("id"), record.get("person")
        if id_ not in (None, ""):
            ids.add(_id(path, number, id_))
        elif isinstance(person, str) and person.strip():
            people.add(person)
        else:
            raise DataError(f"{path}, line {number}: there is neither an id nor a person")
    return Named(frozenset(people), frozenset(ids))


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise DataError(f"{path}: expected a name that ends in .jsonl or .csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.DictReader(file, strict=True)
                for record in reader:
                    yield reader.line_num, record
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _object(path, number, line)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as text in UTF-8 ({error})") from error


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise DataError(f"{path}, line {number}: expected a JSON object with an id or a person")
    return record


def _id(path: Path, number: int, value: object) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**63:
        raise DataError(f"{path}, line {number}: {str(value)[:40]!r} is no id of an entry")
    return value


@dataclass(frozen=True, eq=False)
class Row:
    """A photo to enrol.

    Attributes:
        person: identifier of the person.
        photo: name of the photo that the gallery keeps.
        image: a file, or a decoded photo (H, W, 3) uint8 RGB.
        id: id of the entry, 0 or more.
        name: display name of the person; "" where there is none.
    """

    person: str
    photo: str
    image: Path | np.ndarray
    id: int
    name: str = ""


@dataclass(frozen=True)
class Refused:
    """A line of a listing, or a photo, that was not enrolled.

    Attributes:
        photo: name of the photo.
        reason: why it was not enrolled.
    """

    photo: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """Photos to enrol.

    Attributes:
        rows: starts a new iteration over the photos.
        total: number of photos.
    """

    rows: Callable[[], Iterator[Row | Refused]]
    total: int

    def shard(self, index: int, count: int) -> Listing:
        """One of `count` disjoint parts: every `count`-th photo, starting with number `index`.

        Args:
            index: number of the part, from 0.
            count: number of parts.

        Returns:
            The part.

        Raises:
            DataError: `index` is out of range.
        """
        if not 0 <= index < count:
            raise DataError(f"shard: expected an index below {count}, got {index}")
        rows = self.rows
        return Listing(
            lambda: itertools.islice(rows(), index, None, count),
            len(range(index, self.total, count)),
        )


def listing(source: Path, person: str | None = None) -> Listing:
    """List the photos of a folder-per-person tree, or of a .csv or .parquet manifest.

    A manifest has the columns person and photo (a path, relative to the manifest). It may have the
    columns id (an integer, 0 or more; otherwise the id is a hash of person and photo) and name (a
    display name of the person, of whom the column person is then an identifier).

    Args:
        source: the tree or manifest; with `person`, a photo or a folder of photos.
        person: name of the only person in `source`; None takes the names from it.

    Returns:
        The photos.

    Raises:
        DataError: the source is missing or cannot be read, or a manifest lacks a column. Iteration
            raises it too.
    """
    source = Path(source)
    if person is not None:
        return _of_person(source, person)
    if source.is_dir():
        return Listing(lambda: _of_folder(source), sum(1 for _ in folder(source)))
    if not source.is_file():
        raise DataError(f"{source}: there is no such folder or manifest")
    if source.suffix.lower() == ".parquet":
        return _of_parquet(source)
    if source.suffix.lower() == ".csv":
        return _of_csv(source)
    raise DataError(f"{source}: expected a folder, a .csv or a .parquet manifest")


# --- listings ------------------------------------------------------------------------------------


def _of_person(source: Path, person: str) -> Listing:
    if source.is_dir():
        photos = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    elif source.is_file():
        photos = [source]
    else:
        raise DataError(f"{source}: there is no such photo or folder")
    return Listing(
        lambda: (row_of(person, f"{person}/{path.name}", path) for path in photos), len(photos)
    )


def _of_folder(source: Path) -> Iterator[Row | Refused]:
    for person, path in folder(source):
        yield row_of(person, f"{person}/{path.name}", path)


def _of_csv(manifest: Path) -> Listing:
    def records() -> Iterator[dict[str, str]]:
        try:
            with manifest.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                _require_columns(manifest, reader.fieldnames or [])
                yield from reader
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _unreadable(manifest, "CSV in UTF-8", error) from error

    total = sum(1 for _ in records())
    return Listing(lambda: (_manifest_row(manifest, record) for record in records()), total)


def _of_parquet(manifest: Path) -> Listing:
    with extra_packages("A Parquet manifest, in place of CSV,"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(manifest) as file:
            _require_columns(manifest, file.schema_arrow.names)
            total = file.metadata.num_rows
            columns = [
                name
                for name in ("person", "photo", "id", "name")
                if name in file.schema_arrow.names
            ]
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(manifest, "Parquet", error) from error

    def rows() -> Iterator[Row | Refused]:
        try:
            with pq.ParquetFile(manifest) as file:
                for batch in file.iter_batches(batch_size=1000, columns=columns):
                    for record in batch.to_pylist():
                        yield _manifest_row(manifest, record)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(manifest, "Parquet", error) from error

    return Listing(rows, total)


def _unreadable(manifest: Path, kind: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200]  # Arrow's takes several lines
    return DataError(f"{manifest}: cannot be read as {kind} ({reason})")


def _require_columns(manifest: Path, names: Iterable[str]) -> None:
    missing = [name for name in ("person", "photo") if name not in names]
    if missing:
        raise DataError(
            f"{manifest}: expected the columns person, photo, perhaps id, name; {missing} missing, "
            f"there are {str(list(names))[:200]}"
        )


def _manifest_row(manifest: Path, record: dict) -> Row | Refused:
    person, photo = str(record["person"] or ""), str(record["photo"] or "")
    if not photo.strip():
        return Refused(photo, "the photo's path is empty")
    path = Path(photo)
    inside = not path.is_absolute() and ".." not in path.parts
    # Visitors see the name that the gallery keeps, so it must not be a path of the host.
    named = [part for part in path.parts if part not in ("..", path.anchor)]
    shown = path.as_posix() if inside else "/".join(named[-2:])
    named_row = row_of(person, shown, manifest.parent / path, photo, str(record.get("name") or ""))
    given = record.get("id")
    if given in (None, "") or isinstance(named_row, Refused):
        return named_row
    try:
        id_ = int(given)
        if id_ != given and not isinstance(given, str):  # 1.5 is no id
            id_ = -1
    except (ValueError, TypeError, OverflowError):  # a Parquet column may hold anything
        id_ = -1
    if not 0 <= id_ < 2**63:
        return Refused(shown, f"the id {str(given)[:40]!r} is not an integer from 0 to 2^63 - 1")
    return dataclasses.replace(named_row, id=id_)


def row_of(
    person: str,
    photo: str,
    image: Path | np.ndarray,
    identity: str | None = None,
    name: str = "",
) -> Row | Refused:
    """Make a row whose id is a hash of person and identity.

    Args:
        person: name of the person.
        photo: name of the photo.
        image: a file, or a decoded photo (H, W, 3) uint8 RGB.
        identity: what the id is a hash of in place of `photo`; None takes `photo`.
        name: display name of the person; "" for none.

    Returns:
        The row; Refused for an invalid name.
    """
    try:
        person, photo = checked_name("person", person), checked_name("photo", photo)
        identity = photo if identity is None else identity
        name = checked_name("person", name) if name.strip() else ""
        return Row(person, photo, image, entry_id(person, identity), name)
    except (DaahError, UnicodeEncodeError) as error:
        return Refused(repr(photo), str(error))
