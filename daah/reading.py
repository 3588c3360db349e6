"""Decoding of untrusted photos in separate processes with limits on time and memory.

What a file can demand of a decoder is bounded before (`daah.formats`), as far as its structure
tells. The rest is bounded here. The system ends a process that exceeds its processor time and
denies it memory above its limit. In both cases the photo is refused with an error message, and
another process takes its place. Pixels are returned in shared memory, so nothing is copied.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import mmap
import os
import queue
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path

import numpy as np

from daah.errors import ImageError
from daah.formats import MAX_PIXELS
from daah.images import open_heic, read_image, read_into

#: Limit of processor time per photo in seconds. The slowest accepted photo takes two. Waiting on a
#: busy machine does not count.
SECONDS = 10.0

#: Megabytes of address space per photo, on top of the process itself and `_KEPT`.
MEGABYTES = 320

#: Photos that are decoded at a time.
READERS = 2

#: Seconds without an answer after which a process is ended.
_HANG = 120.0

#: Whether this system has anonymous memory that can be passed between processes.
_POSSIBLE = hasattr(os, "memfd_create")

_GAVE_UP = (
    "The photo takes more time or memory to read than any photo should. Open it and save it again "
    "as an ordinary JPEG."
)

_ROOT = Path(__file__).resolve().parents[1]

#: Code of a decoding process. It imports this package from where this process did, and no PyTorch.
_CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from daah.reading import serve
serve(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
"""


class Reader:
    """Decodes photos as `read_image` does, in its own processes; thread-safe.

    Processes start when they are needed, or at `start`. They end with this process, however it
    ends. On a system without anonymous shared memory photos are decoded in this process.

    Args:
        workers: number of processes, and of photos that are decoded at a time; others wait.
        seconds: limit of processor time per photo.
        megabytes: limit of memory per photo.
    """

    def __init__(
        self, workers: int = READERS, seconds: float = SECONDS, megabytes: int = MEGABYTES
    ) -> None:
        self._limits = seconds, megabytes
        self._places: queue.Queue[_Worker | None] = queue.Queue()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        for _ in range(workers):
            self._places.put(None)

    def start(self) -> None:
        """Start the processes now, so that no photo waits for it."""
        for _ in range(self._places.qsize() if _POSSIBLE else 0):
            with contextlib.suppress(queue.Empty):
                worker = self._places.get_nowait()
                self._places.put(worker or self._begun())

    def read(self, source: bytes | str | Path, most_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Decode a photo's file.

        Args:
            source: as of `read_image`.
            most_pixels: as of `read_image`.

        Returns:
            (H, W, 3) uint8 RGB, upright.

        Raises:
            ImageError: as of `read_image`, and when decoding exceeds the limits of time or memory.
            TypeError: as of `read_image`.
        """
        if not _POSSIBLE:
            return read_image(source, most_pixels)
        if not isinstance(source, bytes):
            source = Path(source)
        worker = self._places.get()
        try:
            worker = worker if worker and worker.alive else self._begun()
            found = worker.read(source, most_pixels)
        except BaseException as problem:  # what it would say next is not known
            self._end(worker)
            worker = None
            if isinstance(problem, EOFError | OSError):
                worker = self._begun()
                raise ImageError(_GAVE_UP) from None
            raise
        finally:
            self._places.put(worker)
        if isinstance(found, str):
            raise ImageError(found)
        return found

    def close(self) -> None:
        """End the processes. Photos in progress are refused; a later `read` starts new ones."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            self._end(worker)

    def _begun(self) -> _Worker:
        worker = _Worker(*self._limits)
        with self._lock:
            self._workers.add(worker)
        return worker

    def _end(self, worker: _Worker | None) -> None:
        if worker is not None:
            worker.end()
            with self._lock:
                self._workers.discard(worker)


class _Worker:
    """One decoding process, as seen by its parent."""

    def __init__(self, seconds: float, megabytes: int) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c", _CODE),
                    *map(str, (_ROOT, theirs.fileno(), seconds, megabytes)),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # nothing of a photo reaches the log
                process_group=0,  # Ctrl-C is for the process that started it
                env={**os.environ, **_ENVIRONMENT},
            )

    @property
    def pid(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def read(self, source: bytes | Path, most_pixels: int) -> np.ndarray | str:
        """The pixels, or an error message. Raises EOFError or OSError when the process ends."""
        path = None if isinstance(source, bytes) else str(source.absolute())
        self._connection.send_bytes(json.dumps({"path": path, "pixels": most_pixels}).encode())
        if isinstance(source, bytes):
            self._connection.send_bytes(source)
        if not self._connection.poll(_HANG):
            raise EOFError
        reply = json.loads(self._connection.recv_bytes())
        if "error" in reply:
            return str(reply["error"])
        shape = tuple(map(int, reply["shape"]))
        block = recv_handle(self._connection)
        try:
            if os.fstat(block).st_size != math.prod(shape):
                raise EOFError
            return _array(block, shape)
        finally:
            os.close(block)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._connection.close()


#: Bytes that a process keeps allocated between photos: enough for 16 megapixels. Allocating them
#: again takes as long as decoding.
_KEPT = 64 * 2**20

#: One thread does all the work. Only blocks larger than Pillow's are freed at once.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT),
    "PYTHONWARNINGS": "ignore",
}


def serve(descriptor: int, seconds: float, megabytes: int) -> None:
    """Decode photos on request from the other end of a connection, until that closes.

    Args:
        descriptor: file descriptor of the connection.
        seconds: limit of processor time per photo.
        megabytes: limit of memory per photo.
    """
    from PIL import Image

    Image.init()
    with contextlib.suppress(ImageError):  # said of each HEIC photo that comes
        open_heic()
    _limit_memory(megabytes)
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, OSError):  # the other process has ended
        while True:
            asked = json.loads(connection.recv_bytes())
            source = connection.recv_bytes() if asked["path"] is None else Path(asked["path"])
            # The system ends the process when its own time on the processor is over, in the middle
            # of a decoder too.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            block = _Block()
            try:
                reply = {"shape": read_into(block.empty, source, asked["pixels"]).shape}
            except ImageError as problem:
                reply = {"error": str(problem)}
            except MemoryError:
                reply = {"error": _GAVE_UP}
            signal.setitimer(signal.ITIMER_PROF, 0)
            del source
            connection.send_bytes(json.dumps(reply).encode())
            if "shape" in reply:
                send_handle(connection, block.descriptor, None)
            block.close()


class _Block:
    """Anonymous memory that holds one array."""

    def __init__(self) -> None:
        self.descriptor = -1

    def empty(self, shape: tuple[int, int, int]) -> np.ndarray:
        """An array (H, W, 3) uint8; one per block."""
        self.descriptor = os.memfd_create("photo")
        os.ftruncate(self.descriptor, math.prod(shape))
        return _array(self.descriptor, shape)

    def close(self) -> None:
        """Leave the memory to whoever else has it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _array(descriptor: int, shape: tuple[int, ...]) -> np.ndarray:
    """Shared memory as an array."""
    return np.frombuffer(mmap.mmap(descriptor, math.prod(shape)), np.uint8).reshape(shape)


def _limit_memory(megabytes: int) -> None:
    """Limit the address space to the present size plus `megabytes` and `_KEPT`."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * mmap.PAGESIZE + megabytes * 10**6 + _KEPT
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


#: Shared by the whole process. The second is for small images, such as camera frames, so that they
#: never wait for a photo.
READER, SMALL_READER = Reader(), Reader(1)
atexit.register(READER.close)
atexit.register(SMALL_READER.close)
