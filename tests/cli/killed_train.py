"""Training that ends by SIGKILL: `killed_train.py STEPS ARGUMENTS...` of the command line.

The step after so many steps of all stages kills the process.
"""

from __future__ import annotations

import os
import signal
import sys

import torch

from daah.cli import app
from daah.training.steps import StageRun

_left = int(sys.argv[1])
_real = StageRun.update


def update(run: StageRun, loss: torch.Tensor) -> None:
    """As `StageRun.update`, as long as steps are left."""
    global _left
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _left -= 1
    _real(run, loss)


if __name__ == "__main__":
    StageRun.update = update
    app(sys.argv[2:])
