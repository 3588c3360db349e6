"""`python app.py` over a gallery that is ready: it answers in time, and fits a small machine."""

from __future__ import annotations

import pytest

from benchmarks import start_up
from daah.gallery import BuildReport, Gallery


@pytest.mark.slow
def test_the_app_starts_in_time_and_stays_small(orl_build: tuple[Gallery, BuildReport]) -> None:
    gallery, _ = orl_build
    with start_up.started(gallery.folder) as app:
        # What other programs take of the processor is not the app's; on a free machine with two
        # processors, the clock on the wall shows less than this.
        assert app.processor_seconds < 20
        assert app.peak_megabytes() < 2000
        start_up.use_everything(app.url)
        assert app.peak_megabytes() < 2000
