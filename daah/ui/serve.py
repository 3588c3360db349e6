"""Serving of the app: it ends cleanly on request, and starts when a missing model is there."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from daah.errors import ConfigError, DaahError
from daah.reading import READER, SMALL_READER
from daah.ui.app import App
from daah.ui.notice import Notice


def serve(
    demo: App, load: Callable[[], App], host: str | None = None, port: int | None = None
) -> None:
    """Serve until interrupted or terminated; uploads are deleted on exit.

    Args:
        demo: the app, or a `Notice` that is served until `load` succeeds.
        load: retried as long as it raises DaahError; its app replaces the notice, at the same
            address.
        host: address to listen on; None takes that of the environment, or this machine alone.
        port: port to listen on; None takes that of the environment, or the first free one from
            7860.

    Raises:
        ConfigError: the address or the port cannot be listened on.
    """
    if threading.current_thread() is threading.main_thread():
        # A container is stopped by SIGTERM, which would end Python without deleting anything.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if isinstance(demo, Notice):
            _launch(demo, host, port, prevent_thread_lock=True)
            port, app = demo.server_port, _loaded(load, demo)
            demo.close()
            demo = app
        _launch(demo, host, port)
    except KeyboardInterrupt:
        pass  # interrupted during the start
    finally:
        demo.close(verbose=False)


def _launch(demo: App, host: str | None, port: int | None, **options: bool) -> None:
    try:
        demo.launch(server_name=host, server_port=port, **options)
    except OSError as error:  # Gradio's words about a port that is taken are two sentences
        raise ConfigError(" ".join(str(error).split())) from None


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
