"""Serving of the app: it ends cleanly on request, and starts when a missing model is there."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from daah.errors import DaahError
from daah.reading import READER, SMALL_READER
from daah.ui.app import App
from daah.ui.notice import Notice


def serve(demo: App, load: Callable[[], App]) -> None:
    """Serve until interrupted or terminated; uploads are deleted on exit.

    Args:
        demo: the app, or a `Notice` that is served until `load` succeeds.
        load: retried as long as it raises DaahError; its app replaces the notice, at the same
            address.
    """
    if threading.current_thread() is threading.main_thread():
        # A container is stopped by SIGTERM, which would end Python without deleting anything.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    port = None
    try:
        if isinstance(demo, Notice):
            demo.launch(prevent_thread_lock=True)
            port, app = demo.server_port, _loaded(load, demo)
            demo.close()
            demo = app
        demo.launch(server_port=port)
    except KeyboardInterrupt:
        pass  # interrupted during the start
    finally:
        demo.close(verbose=False)


def leave() -> NoReturn:
    """End this process without Python's finalisation; the last call after `serve`.

    A search may still be running in a thread. When it finalises, Python unwinds such a thread, on
    which PyTorch's C++ code aborts the process (SIGABRT).
    """
    READER.close()
    SMALL_READER.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _loaded(load: Callable[[], App], notice: Notice) -> App:
    while True:
        time.sleep(notice.settings.retry_seconds)
        try:
            return load()
        except DaahError as problem:
            notice.say(problem)
