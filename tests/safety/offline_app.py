"""`app.py` where nothing but this computer can be reached: `python offline_app.py LOG GALLERY`.

Every attempt to look up a name or to connect elsewhere fails, and is written to LOG.
"""

from __future__ import annotations

import importlib
import ipaddress
import runpy
import socket
import sys
from pathlib import Path
from typing import Any

LOG, GALLERY = map(Path, sys.argv[1:3])


def _is_here(host: Any) -> bool:
    if host in (None, "", b"", "localhost", b"localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): Python calls it before a socket does anything."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None  # or a file's path
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        with LOG.open("a") as log:
            log.write(f"{event} {arguments[1:] if event == 'socket.connect' else arguments}\n")
        raise OSError(f"{host} is not reached from here")


sys.addaudithook(watch)
importlib.import_module("daah.retrieval.loading").DEFAULT_GALLERY = GALLERY
runpy.run_path(str(Path(__file__).resolve().parents[2] / "app.py"), run_name="__main__")
