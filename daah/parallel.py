"""Many small pieces of work on a few threads or processes."""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

import torch

from daah.errors import DataError

#: Called with how many are done, of how many, and what is being done.
Progress = Callable[[int, int, str], None]

Item = TypeVar("Item")
Result = TypeVar("Result")
State = TypeVar("State")

#: Enough to keep a small machine busy; results wait in order, so more would only take memory.
THREADS = 2

#: Items that a worker process is handed at a time.
_CHUNK = 16


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


def ordered_map(
    work: Callable[[State, Item], Result],
    items: Iterable[Item],
    workers: int,
    start: Callable[..., State],
    arguments: tuple[Any, ...] = (),
) -> Iterator[tuple[Item, Result]]:
    """Every item with its result, in the order of items, which are read a little ahead.

    PyTorch is kept to one thread inside of `work`, in processes and in threads, so that results do
    not depend on `workers`: sums over several threads round differently.

    Args:
        work: called with what `start` gave and an item. For processes it is a function of a
            module's top level, and holds no state.
        items: may be endless; `3 * workers` chunks of it are at work or done at a time.
        workers: processes; 0 works on two threads of this one.
        start: called once in each process; what it returns is there for its whole life, as a
            network is.
        arguments: of `start`.

    Yields:
        (item, result) pairs.

    Raises:
        DataError: a process ended, of itself or because the system had no memory left.
    """
    items = iter(items)
    pending: collections.deque[tuple[list[Item], Future[list[Result]]]] = collections.deque()
    with _pool(workers, start, arguments) as (pool, do):
        try:
            while chunk := list(itertools.islice(items, _CHUNK if workers else 1)):
                pending.append((chunk, pool.submit(do, work, chunk)))
                if len(pending) > 3 * (workers or THREADS):
                    done, future = pending.popleft()
                    yield from zip(done, future.result(), strict=True)
            for done, future in pending:
                yield from zip(done, future.result(), strict=True)
        except BrokenProcessPool as error:
            raise DataError(
                "A worker process ended unexpectedly, perhaps for want of memory. Run the same "
                "command again to go on, with fewer workers."
            ) from error


@contextlib.contextmanager
def _pool(
    workers: int, start: Callable[..., State], arguments: tuple[Any, ...]
) -> Iterator[tuple[Executor, Callable[..., Any]]]:
    """Processes, or threads of this one, and the function that works on a chunk in them."""
    if workers:
        # Spawned, not forked: a fork of a process that has run PyTorch may hang.
        context = multiprocessing.get_context("spawn")
        pool: Executor = ProcessPoolExecutor(workers, context, _begin, (start, arguments))
        do: Callable[..., Any] = _work
    else:
        state = start(*arguments)
        pool = ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,))

        def do(work: Callable[[State, Item], Result], chunk: list[Item]) -> list[Result]:
            return [work(state, item) for item in chunk]

    try:
        yield pool, do
    finally:
        pool.shutdown(cancel_futures=True)


_state: Any = None  # of a worker process


def _begin(start: Callable[..., State], arguments: tuple[Any, ...]) -> None:
    global _state
    begin_worker()
    _state = start(*arguments)


def _work(work: Callable[[State, Item], Result], chunk: list[Item]) -> list[Result]:
    return [work(_state, item) for item in chunk]


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
