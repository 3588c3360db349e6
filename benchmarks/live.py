"""The Live tab in a browser: frames a second at 640x480 with one face, alone and beside searches.

    python -m benchmarks.live --json docs/results/live.json

Needs Chromium, whose camera films somebody of ORL. The page asks for the next frame when the last
answer is drawn, so the rate is that of the whole way: camera, JPEG, server, heatmap on the screen.
The browser works on the same processors as the server, which a visitor's does not, and whatever
else the machine does takes its part; the server's processor time for a frame leaves all that out.
A second visitor searches without a pause, before and meanwhile, to see what one takes from the
other.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.report import machine, write
from benchmarks.start_up import Started, processor_seconds, started
from benchmarks.visitor import Visitor
from daah.data import sources
from daah.ui.page.examples import EXAMPLES

SIZE = (640, 480)
PROMISE = "at least 8, on a free machine"


def film(rgb: np.ndarray) -> bytes:
    """A face that moves a little, as motion JPEG of SIZE."""
    face = Image.fromarray(rgb).resize((330, 402), Image.Resampling.BICUBIC)
    frames = []
    for i in range(12):
        frame = Image.new("RGB", SIZE, (96, 96, 96))
        frame.paste(face, (150 + 2 * abs(6 - i), 40))
        buffer = io.BytesIO()
        frame.save(buffer, "JPEG", quality=85)
        frames.append(buffer.getvalue())
    return b"".join(frames)


@contextmanager
def camera_page(url: str) -> Iterator[Page]:
    """The Live tab in headless Chromium, with the camera running."""
    shown = next(photo.rgb for photo in sources.orl() if photo.name == "s12/9")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "film.mjpeg"
        path.write_bytes(film(shown))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={path}",
            ],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start the camera").click()
        page.locator("#live .rate").filter(has_text="frames a second").wait_for()
        yield page
        browser.close()


def frames_drawn(page: Page, seconds: float) -> float:
    """Frames a second that were drawn over, counted by the page's own answers."""
    counted = page.evaluate(
        """async (seconds) => {
          const canvas = document.querySelector("#live canvas");
          const pen = canvas.getContext("2d");
          let drawn = 0;
          const before = pen.fillText.bind(pen);  // the label of the one face
          pen.fillText = (...given) => { drawn += 1; before(...given); };
          const start = performance.now();
          await new Promise((done) => setTimeout(done, 1000 * seconds));
          delete pen.fillText;
          return [drawn, (performance.now() - start) / 1000];
        }""",
        seconds,
    )
    return counted[0] / counted[1]


class Searcher(threading.Thread):
    """A visitor who searches one photo after another until told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.visitor = Visitor(url)
        self.seconds: list[float] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        photo = EXAMPLES[0].path.read_bytes()
        while not self.stopping.is_set():
            began = time.perf_counter()
            value = self.visitor.photo("photo.jpg", photo)
            self.visitor.send("photo", "input", {"photo": value})
            self.seconds.append(time.perf_counter() - began)

    def stop(self) -> float:
        """The median time of a search, in milliseconds."""
        self.stopping.set()
        self.join()
        return 1000 * statistics.median(self.seconds)


def measure(app: Started, seconds: float) -> list[dict[str, Any]]:
    """The rows of the report."""
    url = app.url
    quiet = Searcher(url)
    quiet.start()
    time.sleep(seconds)
    without = quiet.stop()
    with camera_page(url) as page:
        spent = processor_seconds(app.process)
        alone = frames_drawn(page, seconds)
        spent = processor_seconds(app.process) - spent
        server = page.locator("#live .rate").inner_text()
        busy = Searcher(url)
        busy.start()
        beside = frames_drawn(page, seconds)
        during = busy.stop()
    rows = [
        ("Frames drawn a second", alone, "", PROMISE),
        ("The same while somebody searches without a pause", beside, "", ""),
        ("A search with Live off", without, "ms", ""),
        ("A search with Live on", during, "ms", ""),
        ("A frame on the server", float(server.split(",")[1].split()[0]), "ms", ""),
        (
            "Processor time of a frame on the server",
            1000 * spent / (alone * seconds),
            "ms",
            "at most 125",
        ),
    ]
    return [
        {"what": what, "value": round(value, 1), "unit": unit, "promise": promise}
        for what, value, unit, promise in rows
    ]


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement")
    parser.add_argument("--gallery", type=Path, help="a built one, instead of gallery/orl")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    about = machine()
    with started(given.gallery) as app:
        rows = measure(app, given.seconds)
    report = {
        "title": "Live",
        "machine": {"frame": "{}x{}, one face".format(*SIZE), **about},
        "rows": rows,
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
