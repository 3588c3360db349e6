"""Many small pieces of work on a few threads or processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

import torch

#: Called with how many are done, of how many, and what is being done.
Progress = Callable[[int, int, str], None]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Enough to keep a small machine busy; results wait in order, so more would only take memory.
THREADS = 2


def in_order(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    what: str,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """The results of `work` in the order of items, a few at a time; the first error is raised.

    `work` must hold no state. PyTorch is kept to one thread inside of it: calls that each spread
    over every core spend most of their time waiting for one another.
    """
    with ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done, result in enumerate(pool.map(work, items), 1):
            if progress is not None:
                progress(done, len(items), what)
            yield result


def begin_worker() -> None:
    """What a worker process does first.

    It keeps PyTorch to one thread, because the processes are the parallelism; leaves Ctrl-C to the
    process that started it; and ends when that one is no more, which a killed process cannot see
    to: the queue that a worker waits on is also held open by the worker itself.
    """
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread inside the block, and give it back what it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
