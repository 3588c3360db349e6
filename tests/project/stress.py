"""Run pytest in random order, several times, while busy loops take the processors.

    python tests/project/stress.py                          everything three times, beside two busy
    loops python tests/project/stress.py --times 1 --loops 4 tests/ui

The seed of each run is printed before it; `pytest -p randomly --randomly-seed=SEED` repeats its
order. The exit code is 1 when any run failed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator

#: Ends with the process that started it, however that one ends.
LOOP = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that compute nothing, as fast as they can, within the block."""
    running = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main(arguments: list[str]) -> int:
    """Run as asked; other arguments go to pytest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--loops", type=int, default=2)
    given, others = parser.parse_known_args(arguments)
    codes = []
    with busy(given.loops):
        for run in range(1, given.times + 1):
            seed = random.randrange(2**32)
            print(
                f"run {run} of {given.times} beside {given.loops} busy loops, seed {seed}",
                flush=True,
            )
            command = [sys.executable, "-m", "pytest", "-q", f"--randomly-seed={seed}", *others]
            codes.append(subprocess.run(command).returncode)
            print(f"run {run} ended with exit code {codes[-1]}", flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
