"""What a visit needs besides a page: an app that serves, and somebody in front of the camera."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from daah.gallery import SessionGallery
from daah.ui.app import App
from daah.ui.state.session import Expires


def serve(demo: App) -> str:
    """Start an app beside the tests; its address."""
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    return url


def age(demo: App, seconds: float) -> int:
    """Make all that visitors left in their sessions so much older; how many things that is."""
    held = [value for session in list(demo.state_holder.session_data.values())
            for value in session.state_data.values()
            if isinstance(value, Expires | SessionGallery)]  # fmt: skip
    for value in held:
        object.__setattr__(value, "born", value.born - seconds)
    return len(held)


def film(rgb: np.ndarray) -> list[np.ndarray]:
    """A face that moves a little, as frames (480, 640, 3) uint8."""
    face = Image.fromarray(rgb).resize((330, 402), Image.Resampling.BICUBIC)
    frames = []
    for i in range(12):
        frame = Image.new("RGB", (640, 480), (96, 96, 96))
        frame.paste(face, (150 + 2 * abs(6 - i), 40))
        frames.append(np.array(frame))
    return frames


def motion_jpeg(frames: list[np.ndarray]) -> bytes:
    """Frames (H, W, 3) uint8 as the file that Chromium takes for a camera."""
    buffer = io.BytesIO()
    for frame in frames:
        Image.fromarray(frame).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
