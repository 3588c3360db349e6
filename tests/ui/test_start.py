"""`python app.py` over a gallery that is ready: it answers, and fits a small machine.

How long a start takes depends on the machine: `python -m benchmarks.start_up`.
"""

from __future__ import annotations

import pytest

from benchmarks import start_up
from daah.gallery import BuildReport, Gallery
from tests.doubles.waiting import HANG


@pytest.mark.slow
def test_the_app_starts_and_stays_small(orl_build: tuple[Gallery, BuildReport]) -> None:
    gallery, _ = orl_build
    with start_up.started(gallery.folder, patience=HANG) as app:
        assert app.peak_megabytes() < 2000
        start_up.use_everything(app.url)
        assert app.peak_megabytes() < 2000
