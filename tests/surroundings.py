"""Environment of a test run, imported before any library reads it: threads, folders, no reports."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

#: What libraries would leave in the home folder and in /tmp; deleted after the run. They read these
#: variables when they are imported, Gradio by the modules of the screen alone: it takes seconds.
LEFT = Path(tempfile.mkdtemp(prefix="daah-tests-"))
os.environ |= {
    "GRADIO_TEMP_DIR": str(LEFT / "uploads"),
    "GRADIO_ANALYTICS_ENABLED": "False",
    "MPLCONFIGDIR": str(LEFT / "matplotlib"),
    "TORCHINDUCTOR_CACHE_DIR": str(LEFT / "torchinductor"),
}

# Each process of a run looks for free ports of its own: an app that comes up again at the port that
# it had would else find one of the other process there.
worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["GRADIO_SERVER_PORT"] = str(7860 + 100 * worker)

# One thread of arithmetic in each process. Threads of OpenMP spin while they wait for each other:
# with the processors busy elsewhere the same tests took three to five times as long with two.
os.environ.setdefault("OMP_NUM_THREADS", "1")
