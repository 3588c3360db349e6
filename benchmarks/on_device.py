"""The engine in the browser against the server's: the same faces, the same codes, and its speed.

    python -m benchmarks.on_device --json docs/results/on-device.json

Builds the static page, serves it, and drives it in headless Chromium. Every photo of ORL and every
example goes through both engines as the same PNG file. "Same first match" searches each photo among
the server's codes of all others, once by the server's code and once by the browser's. The camera of
the Live tab films somebody of ORL at 640x480, and its frames are counted on the page; the engine
alone is given the same frames one after another. The page, the engine and the server of files share
the processors with whatever else the machine does, which the load before and the milliseconds of
the server's own encoder in the same minute tell.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import io
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.live import film
from benchmarks.report import machine, write
from benchmarks.start_up import processor_seconds
from daah import codes
from daah.data import sources
from daah.detection.detector import FaceDetector
from daah.images import read_image
from daah.models.encoder import FaceEncoder, load_encoder
from daah.paths import PATHS
from daah.types import Face
from daah.ui.page.examples import EXAMPLES
from scripts.build_web import build

#: Loads the engine of the page and keeps it for the calls below.
_LOAD = """async () => {
  const { loadEngine, readPhoto } = await import(new URL("engine/engine.js", location.href));
  const model = await (await fetch("models/model.json")).json();
  window.tested = { readPhoto, engine: await loadEngine({ models: model.files }) };
  return window.tested.engine.info;
}"""

_FACES = """async (text) => {
  const { engine, readPhoto } = window.tested;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const photo = await readPhoto(new Blob([bytes]));
  const out = [];
  for (const { box, landmarks, score } of await engine.find(photo)) {
    const { bits, mask } = await engine.encode(photo, { landmarks });
    out.push({ box, landmarks, score, bits: [...bits], mask: [...mask] });
  }
  photo.close();
  return out;
}"""

#: Milliseconds of each frame, one after another.
_FRAMES = """async ([texts, count, options]) => {
  const { engine, readPhoto } = window.tested;
  const frames = [];
  for (const text of texts) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const photo = await readPhoto(new Blob([bytes]));
    const pen = new OffscreenCanvas(photo.width, photo.height).getContext("2d");
    pen.drawImage(photo, 0, 0);
    frames.push(pen.getImageData(0, 0, photo.width, photo.height));
  }
  const times = [];
  let faces = 0;
  for (let i = 0; i < count; i += 1) {
    const start = performance.now();
    faces += (await engine.follow(frames[i % frames.length], options)).faces.length;
    times.push(performance.now() - start);
  }
  await engine.forget();
  return { times, faces };
}"""


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, quietly."""

    extensions_map = {  # noqa: RUF012 - as the base class has it
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
    }

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder on this machine; its address.

    Args:
        folder: the folder.
        port: the port, by default a free one.
    """
    handler = functools.partial(_Files, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class DeviceFace:
    """A face as the browser found and encoded it. code: packed; mask: rows of cells."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    code: np.ndarray
    mask: np.ndarray


class OnDevice:
    """The engine of a page that is open.

    Args:
        page: the built page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.info: dict[str, Any] = page.evaluate(_LOAD)

    def faces(self, rgb: np.ndarray) -> list[DeviceFace]:
        """Find and encode the faces of a photo.

        Args:
            rgb: (H, W, 3) uint8.

        Returns:
            The faces, largest first.
        """
        return [
            DeviceFace(
                np.array(found["box"]),
                np.array(found["landmarks"]),
                found["score"],
                np.array(found["bits"], np.uint8),
                np.array(found["mask"], np.float32),
            )
            for found in self._page.evaluate(_FACES, png(rgb))
        ]

    def frames(self, frames: Sequence[np.ndarray], count: int, **options: bool) -> list[float]:
        """Follow faces over frames of a camera, again and again.

        Args:
            frames: (H, W, 3) uint8 each, with one face.
            count: number of frames.
            options: of the engine's `follow`.

        Returns:
            Milliseconds of each frame.
        """
        found = self._page.evaluate(_FRAMES, [[png(rgb) for rgb in frames], count, options])
        if found["faces"] != count:
            raise RuntimeError(f"{found['faces']} faces on {count} frames of one face each")
        return found["times"]


def png(rgb: np.ndarray) -> str:
    """A photo as the text that the calls above decode.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        A PNG file in base64.
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass
class Parity:
    """How far the two engines agree, counted photo by photo.

    photos, missed: photos compared, and those with another number of faces. bits, agreeing: of all
    faces. box, landmark: largest differences in pixels. mask: largest difference of a cell.
    """

    photos: int = 0
    missed: int = 0
    bits: int = 0
    agreeing: int = 0
    box: float = 0.0
    landmark: float = 0.0
    mask: float = 0.0

    def add(
        self, encoder: FaceEncoder, faces: Sequence[Face], found: Sequence[DeviceFace]
    ) -> list[np.ndarray]:
        """Compare what both engines found on a photo.

        Args:
            encoder: the server's.
            faces: the server's.
            found: the browser's.

        Returns:
            The server's packed codes.
        """
        self.photos += 1
        if len(faces) != len(found):
            self.missed += 1
            return []
        own = []
        for face, other in zip(faces, found, strict=True):
            logits, masks = encoder.encode(face.aligned[None])
            own.append(codes.from_logits(logits)[0])
            differ = int(codes.hamming(own[-1][None], other.code[None])[0, 0])
            self.bits += encoder.bits
            self.agreeing += encoder.bits - differ
            self.box = max(self.box, float(np.abs(face.box - other.box).max()))
            self.landmark = max(
                self.landmark, float(np.abs(face.landmarks - other.landmarks).max())
            )
            self.mask = max(self.mask, float(np.abs(masks.ravel() - other.mask).max()))
        return own


def compared(
    device: OnDevice, encoder: FaceEncoder, photos: Sequence[np.ndarray]
) -> tuple[Parity, list[tuple[np.ndarray, np.ndarray]]]:
    """Send photos through both engines.

    Args:
        device: the browser's engine.
        encoder: the server's encoder.
        photos: (H, W, 3) uint8 each.

    Returns:
        How far they agree, and (server's, browser's) code of the largest face of each photo on
        which both found as many faces, and any.
    """
    detector, parity, pairs = FaceDetector(), Parity(), []
    for rgb in photos:
        found = device.faces(rgb)
        own = parity.add(encoder, detector.detect(rgb), found)
        if own:
            pairs.append((own[0], found[0].code))
    return parity, pairs


def same_first(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
    """Count the photos whose nearest other photo is the same by both codes.

    Args:
        pairs: (server's, browser's) code of each photo.

    Returns:
        Their number; of photos equally near, the first counts.
    """
    stored = np.stack([server for server, _ in pairs])
    nearest = []
    for queries in (stored, np.stack([device for _, device in pairs])):
        distances = codes.hamming(queries, stored)
        np.fill_diagonal(distances, 8 * stored.shape[1] + 1)
        nearest.append(distances.argmin(1))
    return int((nearest[0] == nearest[1]).sum())


def _renderer(root: int) -> int:
    """The process of a page below `root` that holds most memory."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if b"--type=renderer" in (folder / "cmdline").read_bytes() and _below(folder, root):
                found[int(folder.name)] = _megabytes(int(folder.name))
        except OSError:
            continue
    return max(found, key=lambda process: found[process])


def _megabytes(process: int) -> float:
    """Memory of a process, without what processes share."""
    pages = Path(f"/proc/{process}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _below(folder: Path, root: int) -> bool:
    process = int(folder.name)
    while process > 1:
        if process == root:
            return True
        status = Path(f"/proc/{process}/stat").read_text()
        process = int(status.rsplit(")", 1)[1].split()[1])
    return False


def _loaded(context: BrowserContext, url: str) -> float:
    """Seconds from opening the page until it can be used."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url)
    page.locator("body[data-ready]").wait_for(timeout=300_000)
    seconds = time.perf_counter() - began
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.close()
    return seconds


def _live(context: BrowserContext, url: str, seconds: float) -> list[dict[str, Any]]:
    """Rows about the Live tab."""
    page = context.new_page()
    page.set_default_timeout(300_000)
    page.goto(url)
    page.locator("body[data-ready]").wait_for()
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.locator("#rate").filter(has_text="frames a second").wait_for()
    page.wait_for_timeout(3000)
    process = _renderer(os.getpid())
    before, spent = _megabytes(process), processor_seconds(process)
    drawn, took = page.evaluate(
        """async (seconds) => {
          const pen = document.querySelector("#stage").getContext("2d");
          let drawn = 0;
          const stroke = pen.strokeRect.bind(pen);  // the box of the one face
          pen.strokeRect = (...given) => { drawn += 1; stroke(...given); };
          const start = performance.now();
          await new Promise((done) => setTimeout(done, 1000 * seconds));
          return [drawn, (performance.now() - start) / 1000];
        }""",
        seconds,
    )
    spent = processor_seconds(process) - spent
    after = _megabytes(process)
    page.close()
    return [
        _row("Live tab, frames drawn a second", drawn / took, "", "at least 15, on a free machine"),
        _row("Processor time of a frame of the Live tab", 1000 * spent / drawn, "ms"),
        _row("Memory of the page when Live begins", before, "MB"),
        _row(f"The same after {drawn} frames in {took:.0f} s", after, "MB"),
    ]


def _frames(rgb: np.ndarray) -> list[np.ndarray]:
    """The frames that the camera shows."""
    data, frames = film(rgb), []
    for part in data.split(b"\xff\xd8\xff")[1:]:
        frames.append(np.array(Image.open(io.BytesIO(b"\xff\xd8\xff" + part)).convert("RGB")))
    return frames


def measure(seconds: float) -> list[dict[str, Any]]:
    """Measure everything.

    Args:
        seconds: of Live.

    Returns:
        The rows of the report.
    """
    encoder = load_encoder(PATHS.checkpoint)
    orl = list(sources.orl())
    photos = [photo.rgb for photo in orl]
    photos += [read_image(example.path) for example in EXAMPLES]
    shown = next(photo.rgb for photo in orl if photo.name == "s12/9")
    with tempfile.TemporaryDirectory() as text, sync_playwright() as playwright:
        folder = Path(text)
        build(folder / "web")
        camera = folder / "film.mjpeg"
        camera.write_bytes(film(shown))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={camera}",
            ],
        )
        with serving(folder / "web") as url:
            context = browser.new_context(permissions=["camera"])
            first = _loaded(context, url)
            second = _loaded(context, url)
            live = _live(context, url, seconds)
            page = context.new_page()
            page.set_default_timeout(300_000)
            page.goto(url)
            page.locator("body[data-ready]").wait_for()
            device = OnDevice(page)
            frames = _frames(shown)
            tracked = statistics.median(device.frames(frames, 200))
            whole = statistics.median(device.frames(frames, 60, track=False))
            native = _native(encoder, shown)
            parity, pairs = compared(device, encoder, photos)
            loaded = device.info["bytes"]
        browser.close()
    same = same_first(pairs[: len(orl)])
    return [
        _row("Photos of ORL and examples", parity.photos),
        _row("Photos with another number of faces", parity.missed, "", "0"),
        _row("Bits compared", parity.bits),
        _row("Bits that agree", parity.agreeing, "", "at least 99%"),
        _row("Largest difference of a box", parity.box, "pixels", "at most 2"),
        _row("Largest difference of a landmark", parity.landmark, "pixels"),
        _row("Largest difference of a mask's cell", parity.mask),
        _row("Photos of ORL with the same first match", same, f"of {len(orl)}", "all"),
        _row("Networks and runtime, loaded once", loaded / 1e6, "MB"),
        _row("First load until the page can be used", first, "s"),
        _row("Second load, from the browser's storage", second, "s"),
        *live,
        _row("A frame of the engine alone, tracked", tracked, "ms"),
        _row("The same, faces looked for on the whole frame", whole, "ms"),
        _row("The server's encoder alone, in the same minute", native, "ms"),
    ]


def _native(encoder: FaceEncoder, rgb: np.ndarray) -> float:
    aligned = FaceDetector().detect(rgb)[0].aligned[None]
    times = []
    for _ in range(100):
        began = time.perf_counter()
        encoder.encode(aligned)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _row(what: str, value: float, unit: str = "", promise: str = "") -> dict[str, Any]:
    if isinstance(value, float):
        value = float(f"{value:.2g}") if abs(value) < 0.1 else round(value, 1)
    return {"what": what, "value": value, "unit": unit, "promise": promise}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of Live")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    about = machine()
    report = {
        "title": "On this device",
        "machine": {"frame": "640x480, one face", **about},
        "rows": measure(given.seconds),
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
