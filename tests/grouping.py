"""Which tests run one after another in one process, and share what their fixtures make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from itertools import chain

import pytest

#: What ends after the last test of Milvus: a server that nobody asks takes a third of a processor.
RUNNING = pytest.StashKey[contextlib.ExitStack]()


def needs_milvus(item: pytest.Item) -> bool:
    """Whether a test talks to a real Milvus server, of which a machine can run one at a time."""
    fixtures = getattr(item, "fixturenames", ())
    return "milvus_server" in fixtures or item.get_closest_marker("milvus") is not None


def group(item: pytest.Item) -> str:
    """The tests of Milvus together, and others by their file."""
    return "milvus" if needs_milvus(item) else item.nodeid.partition("::")[0]


def in_turn(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The order in which groups are handed to processes.

    Large ones first, so that no process ends long before the other; of one size in the order in
    which they came, which is random. Milvus' tests come behind half of the others, because the
    server may still be downloaded, and not last, because they run in one process.
    """
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    milvus = groups.pop("milvus", [])
    before, after = _halves(sorted(groups.values(), key=len, reverse=True))
    return [*chain(*before), *milvus, *chain(*after)]


def _halves(
    groups: Sequence[list[pytest.Item]],
) -> tuple[Sequence[list[pytest.Item]], Sequence[list[pytest.Item]]]:
    """The first groups, which have half of all tests together, and the others."""
    half, done = sum(map(len, groups)) / 2, 0
    for place, held in enumerate(groups):
        done += len(held)
        if done >= half:
            return groups[: place + 1], groups[place + 1 :]
    return groups, []
