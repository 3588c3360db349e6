"""`fake_app.py` while its network is at work: `python busy_app.py GALLERY`.

At any moment at which it is told to stop, a thread is inside of PyTorch.
"""

from __future__ import annotations

import runpy
import threading
from pathlib import Path

import torch


def work() -> None:
    """Convolutions without end."""
    network = torch.nn.Conv2d(3, 32, 3)
    photo = torch.zeros(1, 3, 200, 200)
    with torch.inference_mode():
        while True:
            network(photo)


threading.Thread(target=work, daemon=True).start()
runpy.run_path(str(Path(__file__).with_name("fake_app.py")), run_name="__main__")
