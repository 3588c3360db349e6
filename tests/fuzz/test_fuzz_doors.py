"""Every door on its seeds, on what fuzzing once found, and on random changes of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.doors import Door, open_doors

CORPUS = Path(__file__).parent / "corpus"

#: Random changes of seeds that each door is tried with, as time allows.
CHANGES = {
    "images": 300,
    "heic": 200,
    "avif": 200,
    "jpeg-structure": 300,
    "checkpoints": 15,
    "containers": 100,
    "graphs": 30,
    "other-graphs": 80,
    "descriptions": 40,
    "galleries": 60,
    "packed-codes": 100,
    "gallery-json": 200,
    "maps": 100,
    "manifests": 300,
    "arguments": 60,
    "settings": 300,
    "requests": 200,
    "texts": 200,
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
    pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning"),
]


def changed(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Data with a few bytes flipped, a part cut out, doubled, or taken from another seed."""
    content = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        start, size = int(rng.integers(len(content) + 1)), int(rng.integers(1, 9))
        kind = rng.integers(5)
        if kind == 0 and content:
            content[start % len(content)] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[start : start + size]
        elif kind == 2:
            content[start:start] = rng.bytes(size)
        elif kind == 3:
            content[start:start] = content[start : start + size]
        else:
            place = int(rng.integers(len(other) + 1))
            content[start : start + size] = other[place : place + size]
    return bytes(content)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return open_doors(tmp_path_factory.mktemp("doors"))


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_comes_in_is_read_or_refused(name: str, doors: dict) -> None:
    door: Door = doors[name]()
    stored = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    seeds = [*door.seeds, *stored]
    rng = np.random.default_rng(61)
    tried = list(seeds)
    for _ in range(CHANGES[name]):
        one, other = (seeds[int(i)] for i in rng.integers(0, len(seeds), 2))
        tried.append(changed(one, other, rng))
    for data in tried:
        try:
            door.check(data)
        except Exception as error:
            raise AssertionError(f"{name}: {data[:300]!r} ({len(data)} bytes)") from error
    assert len(tried) > 60


def test_every_door_is_tried(doors: dict) -> None:
    assert set(doors) == set(CHANGES)
    assert {path.name for path in CORPUS.iterdir()} <= set(doors)
