"""Work on many items: in order, alike in threads and processes, with a bounded look ahead."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest
import torch

from daah.errors import DataError
from daah.parallel import ordered_map


def base(value: int) -> list[int]:
    """What each process holds."""
    return [value]


def add(state: list[int], item: int) -> tuple[int, int]:
    """The item plus what the process holds, and PyTorch's threads there."""
    return state[0] + item, torch.get_num_threads()


def die(state: list[int], item: int) -> int:
    """End this process at the twentieth item, as the system does when memory runs out."""
    if item == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def fail(state: list[int], item: int) -> int:
    """Raise for one item."""
    if item == 3:
        raise ValueError("three")
    return item


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_in_order_from_one_thread_each(workers: int) -> None:
    found = list(ordered_map(add, range(100), workers, base, (7,)))
    assert [item for item, _ in found] == list(range(100))
    assert {result for _, result in found} == {(7 + i, 1) for i in range(100)}


def test_items_are_read_a_little_ahead() -> None:
    read = itertools.count()

    def items() -> Iterator[int]:
        while True:
            yield next(read)

    results = ordered_map(add, items(), 0, base, (0,))
    assert next(results) == (0, (0, 1))
    assert next(read) < 20
    results.close()


def test_the_first_error_is_raised() -> None:
    done = []
    with pytest.raises(ValueError, match="three"):
        done.extend(item for item, _ in ordered_map(fail, range(100), 0, base, (0,)))


@pytest.mark.slow
def test_a_process_that_ends_is_a_named_error() -> None:
    with pytest.raises(DataError, match="ended unexpectedly"):
        list(ordered_map(die, range(100), 1, base, (0,)))
