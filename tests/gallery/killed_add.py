"""Runs of `bulk.add` that end by SIGKILL at a stated point: `killed_add.py FOLDER PHOTOS...`.

The package is imported once, and each run is a fork, which makes a kill cheap. The first run looks
for faces in a worker process and the others do all by themselves. Each prints a line: the number of
photos that were done, and how many of its worker processes were left behind.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

import psutil

from benchmarks.bulk import run
from tests.doubles.waiting import HANG


def killed(folder: Path, photos: int, workers: int) -> tuple[int, int]:
    """Enrol until so many photos are done; how many were, and how many workers outlive it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:

        def end(done: int, total: int, text: str) -> None:
            if done >= photos:
                there = psutil.Process().children(recursive=True)
                os.write(writing, " ".join(map(str, [done, *(one.pid for one in there)])).encode())
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            # A clock on which each look takes a second: no face waits for more than one other.
            run(folder, workers, False, progress=end, clock=itertools.count().__next__)
        finally:
            os._exit(1)  # it should not have come to its end
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reading) as said:
        done, *pids = map(int, said.read().split())
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    there = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return done, len(psutil.wait_procs(there, timeout=HANG)[1])


if __name__ == "__main__":
    for number, limit in enumerate(sys.argv[2:]):
        print(*killed(Path(sys.argv[1]), int(limit), workers=int(number == 0)), flush=True)
