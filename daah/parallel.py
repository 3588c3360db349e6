"""Ordered maps over a few threads or processes."""

from __future__ import annotations

import collections
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from daah.errors import DataError

#: Called with the number of items done, the number of all items, and the name of the step.
Progress = Callable[[int, int, str], None]

Item = TypeVar("Item")
Result = TypeVar("Result")
State = TypeVar("State")

#: Enough to keep a small machine busy. Results wait for their turn, so more threads take memory.
THREADS = 2

#: Items per task of a worker process.
_CHUNK = 16


def in_order(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    what: str,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Apply `work` on a few threads; results keep the order of the items.

    PyTorch is limited to one thread inside of `work`: calls that each use every core spend most of
    their time waiting for one another.

    Args:
        work: called with each item, on several threads; must not keep state between calls.
        items: the items.
        what: name of the step, for `progress`.
        progress: called with items done, their number, and `what`.

    Yields:
        The result of each item. The first exception of `work` is raised here.
    """
    with ThreadPoolExecutor(THREADS, initializer=_one_thread) as pool:
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
    """Apply `work` on processes or threads; results keep the order of the items.

    PyTorch is limited to one thread inside of `work`, in processes and in threads, so that results
    do not depend on `workers`: sums over several threads round differently.

    Args:
        work: called with the state of `start` and an item. For processes it is a function at the
            top level of a module, and keeps no state.
        items: may be endless; at most `3 * workers` chunks are in progress or waiting to be
            yielded.
        workers: number of processes; 0 runs two threads of this process.
        start: called once per process; its result, such as a network, is passed to every call of
            `work`.
        arguments: arguments of `start`.

    Yields:
        (item, result) pairs.

    Raises:
        DataError: a worker process ended unexpectedly, for example because memory ran out.
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
        pool = ThreadPoolExecutor(THREADS, initializer=_one_thread)

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
    """Set up a worker process.

    It limits PyTorch to one thread, because the processes are the parallelism, and leaves Ctrl-C to
    the parent. It also ends the worker when the parent has ended. A killed parent cannot do so
    itself, and the queue that the worker waits on does not close, because the worker holds it open
    too.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # for a PyTorch that is loaded later
    _one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _one_thread() -> None:
    """Keep PyTorch to one thread, if it is loaded: what only encodes does without it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit PyTorch to one thread inside the block, and restore the number of threads after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
