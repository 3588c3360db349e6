"""Lists of people and entries to act on: JSON Lines as `export` writes them, or CSV."""

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
from daah.gallery.names import checked_name, entry_id


@dataclass(frozen=True)
class Named:
    """Whom a list names: whole people, and single entries by their ids."""

    people: frozenset[str]
    ids: frozenset[int]


def read_list(path: Path) -> Named:
    """The people and ids in a .jsonl or .csv file, a line each.

    A line with an `id` names that entry, one with only a `person` all of that person's. Raises
    DataError that says which line cannot be read.
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
    """A photo to enrol: a file, or decoded as (H, W, 3) uint8 RGB.

    photo: the name that the gallery keeps. id: of the entry, >= 0.
    """

    person: str
    photo: str
    image: Path | np.ndarray
    id: int


@dataclass(frozen=True)
class Refused:
    """A line of the listing or a photo that was not enrolled, and why."""

    photo: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """Photos to enrol: `rows()` starts a fresh pass over them; total: how many there are."""

    rows: Callable[[], Iterator[Row | Refused]]
    total: int

    def shard(self, index: int, count: int) -> Listing:
        """Every `count`-th photo, starting with number `index`: the share of one of `count` runs.

        Raises DataError for an index that is not below count.
        """
        if not 0 <= index < count:
            raise DataError(f"shard: expected an index below {count}, got {index}")
        rows = self.rows
        return Listing(
            lambda: itertools.islice(rows(), index, None, count),
            len(range(index, self.total, count)),
        )


def listing(source: Path, person: str | None = None) -> Listing:
    """What a folder with a folder for each person, or a .csv or .parquet manifest, lists.

    A manifest has the columns person and photo (a path, relative to the manifest), and may have id
    (an integer >= 0; otherwise person and photo decide the id). person: `source` is a photo, or a
    folder of photos, of this one person. Raises DataError when there is no such source, or a
    manifest lacks a column.
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
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            "A Parquet manifest needs the package pyarrow (pip install pyarrow); or use CSV."
        ) from None
    try:
        with pq.ParquetFile(manifest) as file:
            _require_columns(manifest, file.schema_arrow.names)
            total = file.metadata.num_rows
            columns = [
                name for name in ("person", "photo", "id") if name in file.schema_arrow.names
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
            f"{manifest}: expected the columns person, photo and perhaps id; {missing} missing, "
            f"there are {str(list(names))[:200]}"
        )


def _manifest_row(manifest: Path, record: dict) -> Row | Refused:
    person, photo = str(record["person"] or ""), str(record["photo"] or "")
    if not photo.strip():
        return Refused(photo, "the photo's path is empty")
    path = Path(photo)
    inside = not path.is_absolute() and ".." not in path.parts
    # A path of the host is nobody's business: visitors see the name that the gallery keeps.
    named = [part for part in path.parts if part not in ("..", path.anchor)]
    shown = path.as_posix() if inside else "/".join(named[-2:])
    named_row = row_of(person, shown, manifest.parent / path, photo)
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
    person: str, photo: str, image: Path | np.ndarray, identity: str | None = None
) -> Row | Refused:
    """A row whose id person and `identity` (default: photo) decide; Refused for unfit names."""
    try:
        person, photo = checked_name("person", person), checked_name("photo", photo)
        identity = photo if identity is None else identity
        return Row(person, photo, image, entry_id(person, identity))
    except (DaahError, UnicodeEncodeError) as error:
        return Refused(repr(photo), str(error))
