"""Installs a real Milvus server, from the wheel that carries one.

`milvus==2.3.5` on PyPI is the last version with a server inside. At the first use it is installed
into an environment of its own, `daah/milvus-2.3.5` in the user's cache folder (XDG_CACHE_HOME, or
~/.cache): its packages are none of the project's, and tests in any environment share it. That takes
the package index and 400 MB, and is said on standard error. Deleting the folder undoes it.

Run as a program, before anything else is installed, it saves the tests the wait; so it imports
nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

VERSION = "2.3.5"


def install() -> Path:
    """The environment with the server in it, made at the first use.

    Raises:
        RuntimeError: the package index cannot be reached, or has no server for this machine.
    """
    home = cache() / f"milvus-{VERSION}"
    with (cache() / "milvus-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        # The interpreter that it was made with may be gone since.
        if not ((home / "installed").exists() and (home / "bin" / "python").exists()):
            print(f"installing milvus=={VERSION} into {home}, once", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
            try:
                subprocess.run([*pip, f"milvus=={VERSION}"], check=True)
            except subprocess.CalledProcessError as problem:
                raise RuntimeError(
                    f"milvus=={VERSION} could not be installed into {home}. It comes from the "
                    "package index, once, for x86-64 Linux and for Macs; to test without it, run: "
                    'pytest -m "not milvus"'
                ) from problem
            (home / "installed").touch()
    return home


def cache() -> Path:
    """The folder of what the tests keep, made where it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daah"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


if __name__ == "__main__":
    install()
