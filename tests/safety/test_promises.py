"""Numbers in SECURITY.md, PRIVACY.md and DEPLOY.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from daah import box_formats, config, formats, images, reading
from daah.comparison import small_models
from daah.detection import detector
from daah.models import checkpoint
from daah.types import ALIGNED_SIZE
from daah.ui import app
from daah.ui.rest import requests
from daah.ui.server import middleware
from daah.ui.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = Settings()


def door(name: str) -> str:
    """What SECURITY.md says of a door's limits."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (limits,) = re.findall(rf"^\| {re.escape(name)} \|[^|]*\|([^|]*)\|", text, re.MULTILINE)
    return limits


def said(document: str) -> str:
    """A document's text on one line."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


def test_the_limits_of_a_photo() -> None:
    limits = door("a photo")
    for text in (
        f"{images.MAX_BYTES >> 20} MiB",
        f"{formats.MAX_PIXELS // 10**6} megapixels (WebP {formats.MAX_PIXELS_WEBP / 1e6:.1f})",
        f"{formats.MAX_SIDE:,} pixels per side",
        f"{formats.MAX_SCANS} scans of a JPEG",
        f"{formats.MAX_PASSED // 10**6} million samples",
        f"{formats.MAX_ROWS // 10**6} MB of unpacked PNG rows",
        f"{formats.MAX_SEGMENTS:,} segments or {formats.MAX_CHUNKS:,} PNG chunks",
        f"of AVIF and HEIC {formats.MAX_PIXELS_BOXED // 10**6} megapixels, "
        f"{formats.MAX_CODED / 1e6:g} in all tiles and covers, {box_formats.MAX_BOXES:,} boxes",
    ):
        assert text in limits


def test_the_limits_of_reading_what_visitors_send() -> None:
    assert (
        f"{reading.READERS} at a time; the process is killed after {reading.SECONDS:.0f} s of CPU "
        f"time or at {reading.MEGABYTES} MB"
    ) in door("a visitor's photo")


def test_the_limit_of_faces() -> None:
    assert f"the {detector.MOST_FACES} largest" in door("the faces of a photo")


def test_the_limits_of_models() -> None:
    assert (
        f"{checkpoint.MAX_BYTES >> 20} MB, {checkpoint.MAX_TENSORS:,} tensors, codes of "
        f"{config.MOST_BITS:,} bits"
    ) in door("a checkpoint")
    assert f"{2 * small_models.MAX_BYTES >> 20} MB" in door("the shipped baselines")


def test_the_limits_of_a_request() -> None:
    limits = door("a request")
    for text in (
        f"{middleware._JSON >> 20} MiB (uploads {DEFAULT.max_upload_mb} MiB)",
        f"{DEFAULT.queue_size} events waiting, {DEFAULT.max_waiting} of one session",
        f"{DEFAULT.max_sessions} sessions, {DEFAULT.max_session_mb} MB of one and "
        f"{DEFAULT.max_held_mb} MB of all",
        f"{DEFAULT.max_unread_mb} MB of answers not fetched",
        f"{DEFAULT.max_stored_mb // 1000} GB of uploads",
    ):
        assert text in limits


def test_the_limits_of_a_call() -> None:
    limits = door("a call of the API (`/api/v1`) or of a tool (`/mcp`)")
    for text in (
        f"{app._API_PHOTOS * DEFAULT.max_upload_mb} MiB (JSON of the API {middleware._JSON >> 20}"
        f" MiB) and {requests.MOST_PHOTOS} photos",
        f"{DEFAULT.queue_size} calls and waiting events, {DEFAULT.max_bodies_mb} MB of bodies",
        f"{DEFAULT.api_seconds} s per call",
    ):
        assert text in limits


def test_how_long_what_is_kept() -> None:
    text = said("PRIVACY.md")
    minutes = DEFAULT.keep_seconds // 60
    assert text.count(f"| {minutes} minutes at most |") == 2
    assert f"`DAAH_KEEP_SECONDS` ({DEFAULT.keep_seconds}) for photos and results" in text
    assert f"`DAAH_ADDITIONS_MINUTES` ({DEFAULT.additions_minutes}) for additions" in text
    assert f"{DEFAULT.additions_minutes} minutes after the last change at most" in text
    assert f"the aligned face ({ALIGNED_SIZE} by {ALIGNED_SIZE} pixels)" in text
    assert f"retried every {DEFAULT.retry_seconds} seconds" in said("SECURITY.md")
