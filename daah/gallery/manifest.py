"""Lists of people and entries to act on: JSON Lines as `export` writes them, or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daah.errors import DataError


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
