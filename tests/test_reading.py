from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.image_door import WORST, many_huffman_groups
from daah.errors import ImageError
from daah.images import read_image
from daah.reading import Reader
from tests.doubles.bad_images import HEIGHT, WIDTH, corpus, encoded, picture
from tests.doubles.waiting import HANG, eventually

ROOT = Path(__file__).parents[1]
PHOTO = encoded(picture(), "PNG")
GAVE_UP = "more time or memory"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader(2)
    yield made
    made.close()


@pytest.fixture
def one() -> Iterator[Reader]:
    """A reader with one process."""
    made = Reader(1)
    made.start()
    yield made
    made.close()


def process(reader: Reader) -> int:
    (worker,) = reader._workers
    return worker.pid


def gone(pid: int) -> bool:
    """Whether there is no such process, but for what whoever began it has not taken note of."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_every_upload_is_read_or_refused_as_in_this_process(reader: Reader, tmp_path: Path) -> None:
    for case in corpus():
        path = tmp_path / case.name
        path.write_bytes(case.data)
        if case.word is None:
            expected = read_image(case.data)
            for source in (case.data, path):
                found = reader.read(source)
                assert np.array_equal(found, expected), case.name
                assert found.flags.c_contiguous
                assert found.flags.writeable
        else:
            for source in (case.data, path):
                with pytest.raises(ImageError, match=case.word):
                    reader.read(source)


def test_sources_are_those_of_read_image(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a\n\udcff ü.png", "photo.png"):
        Path(name).write_bytes(PHOTO)
        assert np.array_equal(reader.read(name), picture())
    with pytest.raises(ImageError, match="no such file"):
        reader.read("missing.png")
    with pytest.raises(ImageError, match="megapixels"):
        reader.read(PHOTO, most_pixels=WIDTH * HEIGHT - 1)
    for source in (None, 3):
        with pytest.raises(TypeError):
            reader.read(source)


def test_a_photo_that_takes_too_long_is_refused_and_the_next_is_read() -> None:
    hasty = Reader(1, seconds=0.05)
    hasty.read(PHOTO)
    first = process(hasty)
    with pytest.raises(ImageError, match=GAVE_UP):
        hasty.read(WORST["PNG, 8 bits, RGB"]())
    assert gone(first)
    assert np.array_equal(hasty.read(PHOTO), picture())
    hasty.close()


def test_time_is_that_of_one_photo() -> None:
    """And not of all photos that a process has read."""
    hasty = Reader(1, seconds=1.0)
    hasty.read(PHOTO)
    first = process(hasty)
    stat = Path(f"/proc/{first}/stat")
    photo = encoded(np.zeros((2000, 2000, 3), np.uint8), "PNG")
    spent = 0.0
    while spent < 2:
        hasty.read(photo)
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        spent = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    assert process(hasty) == first
    hasty.close()


def test_a_photo_that_takes_too_much_memory_is_refused_and_the_next_is_read(one: Reader) -> None:
    """This one, of lossless WebP, cannot be told from others by its structure."""
    first = process(one)
    greedy = many_huffman_groups()
    with pytest.raises(ImageError):
        one.read(greedy)
    peak = next(
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{process(one)}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    assert peak < 450
    assert np.array_equal(one.read(PHOTO), picture())
    assert process(one) == first


@pytest.mark.parametrize("kind", ["JPEG, progressive, 4:4:4", "WebP, lossy"])
@pytest.mark.slow
def test_photos_at_the_limits_are_read(one: Reader, kind: str) -> None:
    for _ in range(2):  # what the first one took is given back
        assert one.read(WORST[kind]()).ndim == 3


def test_a_process_that_was_ended_is_replaced(one: Reader) -> None:
    one.read(PHOTO)
    os.kill(process(one), signal.SIGKILL)
    assert eventually(lambda: gone(process(one)))
    assert np.array_equal(one.read(PHOTO), picture())


def test_a_photo_whose_process_is_ended_is_refused(one: Reader) -> None:
    one.read(PHOTO)
    first = process(one)
    os.kill(first, signal.SIGSTOP)
    ending = threading.Timer(0.2, os.kill, (first, signal.SIGKILL))
    ending.start()
    with pytest.raises(ImageError, match=GAVE_UP):
        one.read(PHOTO)
    ending.join()
    assert np.array_equal(one.read(PHOTO), picture())


def test_threads_get_their_own_photos(reader: Reader) -> None:
    found: dict[int, bool] = {}

    def read(shade: int) -> None:
        photo = np.full((200, 300, 3), shade, np.uint8)
        found[shade] = all(
            np.array_equal(reader.read(encoded(photo, "PNG")), photo) for _ in range(5)
        )

    threads = [threading.Thread(target=read, args=(shade,)) for shade in range(0, 250, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(0, 250, 25), True)
    assert len(reader._workers) == 2


def test_nothing_is_left_of_a_photo(one: Reader) -> None:
    one.read(PHOTO)

    def opened(pid: int | str) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    ours, theirs = opened("self"), opened(process(one))
    for _ in range(20):
        one.read(PHOTO)
        with pytest.raises(ImageError):
            one.read(PHOTO[:200])
    # Servers of other tests open and close files in this process too; 20 photos would leave 20.
    assert opened("self") < ours + 20
    assert eventually(lambda: opened(process(one)) <= theirs)  # it closes a photo after its reply


def test_a_reading_process_is_small_and_of_its_own_group(one: Reader) -> None:
    one.read(PHOTO)
    maps = Path(f"/proc/{process(one)}/maps").read_text()
    assert "_imaging" in maps
    assert "torch" not in maps
    assert os.getpgid(process(one)) != os.getpgid(0)


_OWNER = """
import sys
from daah.reading import READER
READER.start()
READER.read(sys.argv[1])
print(*(worker.pid for worker in READER._workers), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["its end", "SIGTERM", "SIGKILL"])
def test_reading_processes_end_with_the_one_that_began_them(how: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO)
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with owner:
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 2
        if how == "its end":
            owner.stdin.close()
        else:
            owner.send_signal(getattr(signal, how))
        owner.wait(HANG)
        assert owner.stderr.read() == ""
    for pid in pids:
        assert eventually(lambda pid=pid: gone(pid))


def test_without_shared_memory_photos_are_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daah.reading._POSSIBLE", False)
    here = Reader(1)
    here.start()
    assert np.array_equal(here.read(PHOTO), picture())
    assert not here._workers
