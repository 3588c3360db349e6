"""How the app stays up: it ends cleanly when told to, and heals when what was missing is there."""

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
    """Serve until interrupted or terminated; uploads are deleted on the way out.

    A notice is served only until `load`, tried again and again, returns an app instead of raising
    DaahError; the app then answers at the same address.
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
        pass  # told to end before it was quite up
    finally:
        demo.close(verbose=False)


def leave() -> NoReturn:
    """End this process, as the last thing that it does after `serve`.

    A search may still be running in a thread. At its own end Python unwinds such a thread from
    within, which PyTorch's C++ answers by aborting the process (SIGABRT); so it is not left to it.
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
