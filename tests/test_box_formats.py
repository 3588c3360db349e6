"""The structure of HEIC and AVIF files: what is shown, and what it would cost."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from daah import box_formats, images
from daah.errors import ImageError
from daah.formats import MAX_CODED, MAX_PIXELS_BOXED, contents
from daah.images import read_image
from tests.doubles.bad_images import encoded, picture, with_orientation


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def grid(
    tile: int, rows: int, columns: int, tiles: list[int], kind: bytes = b"hvc1", primary: int = 1
) -> bytes:
    """A file of a grid (item 1) of tiles (items 2 and 3), without any pixels."""
    width, height = columns * tile, rows * tile
    kinds = {1: b"grid", 2: kind, 3: b"grid"}
    infos = [
        box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", item, 0, of_item), b"\0")
        for item, of_item in kinds.items()
    ]
    sizes = [box(b"ispe", struct.pack(">4xII", *size)) for size in ((width, height), (tile, tile))]
    owned = [(1, 1), (2, 2), (3, 1)]
    properties = b"".join(struct.pack(">HBB", item, 1, index) for item, index in owned)
    layout = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    places = b"".join(struct.pack(">HHHHII", item, 1, 0, 1, 0, len(layout)) for item in (1, 3))
    references = struct.pack(">HH", 1, len(tiles)) + struct.pack(f">{len(tiles)}H", *tiles)
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(
        b"meta",
        bytes(4),
        box(b"pitm", struct.pack(">4xH", primary)),
        box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", 2), places),
        box(b"iinf", struct.pack(">4xH", len(infos)), *infos),
        box(b"iref", bytes(4), box(b"dimg", references)),
        box(b"iprp", box(b"ipco", *sizes), box(b"ipma", struct.pack(">4xI", 3), properties)),
        box(b"idat", layout),
    )


def test_a_grid_costs_its_tiles_however_often_they_are_named() -> None:
    found = box_formats.parse(grid(100, 3, 5, [2] * 15))
    assert found is not None
    assert (found.kind, found.width, found.height, found.coded) == ("HEIF", 500, 300, 150_000)
    # Tiles that are larger than the grid: each reference is decoded.
    large = grid(4000, 2, 2, [2] * 4)
    assert MAX_CODED < 4 * 4000**2
    with pytest.raises(ImageError, match="megapixels"):
        contents(large)


@pytest.mark.parametrize(
    "data",
    [
        grid(100, 3, 5, [2] * 14),
        grid(100, 3, 5, []),
        grid(100, 3, 5, [9] * 15),
        grid(100, 3, 5, [2] * 15, primary=8),
        grid(100, 3, 5, [2] * 15, primary=0),
    ],
)
def test_grids_that_do_not_hang_together(data: bytes) -> None:
    with pytest.raises(ImageError):
        contents(data)


@pytest.mark.parametrize("tiles", [[1] * 15, [3] * 15, [2] * 14 + [3]])
def test_grids_of_grids_are_refused(tiles: list[int]) -> None:
    with pytest.raises(ImageError, match="rare kind"):
        contents(grid(100, 3, 5, tiles))


def test_the_limit_of_pixels() -> None:
    side = 1000
    rows, columns = 5, MAX_PIXELS_BOXED // side // side // 5
    assert contents(grid(side, rows, columns, [2] * rows * columns)).width == columns * side
    with pytest.raises(ImageError, match="megapixels"):
        contents(grid(side, rows, columns + 1, [2] * rows * (columns + 1)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_by_its_properties(orientation: int) -> None:
    upright = picture()
    stored, exif = with_orientation(upright, orientation)
    data = encoded(stored, "AVIF", exif=exif, quality=100)  # Pillow writes irot and imir
    found = read_image(data).astype(int)
    assert found.shape == upright.shape
    assert np.abs(found - upright).mean() < 3


@pytest.mark.parametrize("quarters", range(4))
def test_heic_is_turned_by_its_properties(quarters: int) -> None:
    square = picture(64, 64)
    data = encoded(square, "HEIF", quality=100)
    assert data.count(b"pixi") == 1
    place = data.index(b"pixi")
    turned = data[:place] + b"irot" + bytes([quarters]) + data[place + 5 :]
    found = read_image(turned).astype(int)
    assert np.abs(found - np.rot90(square, quarters)).mean() < 3


def test_exif_of_boxes_is_free_space_for_decoders() -> None:
    exif = Image.Exif()
    exif[0x010E] = "somebody's secret"
    for kind in ("AVIF", "HEIF"):
        data = encoded(picture(), kind, exif=exif.tobytes())
        assert b"Exif\0" in data
        found = contents(data)
        assert len(found.data) == len(data)
        assert found.exif == b""
        with Image.open(io.BytesIO(found.data), formats=[kind]) as image:
            assert dict(image.getexif()) == {}


def test_without_its_decoder_heic_is_refused_and_all_else_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heic, avif = (encoded(picture(), kind) for kind in ("HEIF", "AVIF"))
    images.open_heic.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="pillow-heif is missing"):
        read_image(heic)
    assert read_image(avif).shape == picture().shape
