from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.image_door import MEGABYTES, with_scans
from daah.errors import ImageError
from daah.formats import contents
from daah.images import MAX_BYTES, read_image, shrink, upright_rgb
from tests.doubles.bad_images import (
    HEIGHT,
    WIDTH,
    Upload,
    corpus,
    encoded,
    heavy,
    picture,
    with_orientation,
)

# As daah.images sets them for the program: pytest starts every test with its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
    pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning"),
]

CORPUS = {case.name: case for case in corpus()}


def check(case: Upload) -> None:
    if case.word is None:
        rgb = read_image(case.data)
        assert rgb.dtype == np.uint8
        assert rgb.shape == (*case.shape, 3)
        assert rgb.flags.c_contiguous
        assert rgb.flags.writeable
    else:
        with pytest.raises(ImageError, match=case.word) as caught:
            read_image(case.data)
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert "/" not in sentence


@pytest.mark.parametrize("name", CORPUS)
def test_every_upload_is_read_or_refused_with_a_sentence(name: str) -> None:
    check(CORPUS[name])


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
    assert sum(case.word is not None for case in CORPUS.values()) >= 30


_MEASURE = """
import json, re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from benchmarks.image_door import MEGABYTES, with_scans
from daah.errors import ImageError
from daah.formats import contents
from daah.images import read_image

def peak():
    status = Path("/proc/self/status")
    if status.is_file():  # VmHWM is reset in a new program; on Linux, ru_maxrss does not
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

read_image(Path(sys.argv[2]).read_bytes())  # whatever is loaded once
base, figures = peak(), {}
for path in map(Path, sys.argv[3:]):
    try:
        shape = read_image(path).shape
    except ImageError:
        shape = None
    figures[path.name] = shape, peak() - base
print(json.dumps(figures))
"""


@pytest.mark.slow
def test_photos_at_the_limits_stay_within_memory(tmp_path: Path) -> None:
    """And what is refused as well. How long each takes is measured in benchmarks.image_door."""
    cases = [*CORPUS.values(), *heavy()]
    for case in cases:
        (tmp_path / case.name).write_bytes(case.data)
    first = tmp_path / "dot.png"
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(Path(__file__).parents[1]), str(first)]
        + [str(tmp_path / case.name) for case in cases],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    for case in cases:
        shape, megabytes = figures[case.name]
        assert shape == (None if case.word else [*case.shape, 3]), case.name
        assert megabytes < MEGABYTES, case.name
    assert done.stderr == ""


def test_the_sentence_about_pixels_shows_that_they_are_too_many() -> None:
    for width, height, has in (
        (8000, 5001, "40.01"),
        (6325, 6325, "40.01"),
        (20000, 9999, "200.0"),
    ):
        with pytest.raises(ImageError, match="megapixels") as caught:
            upright_rgb(Image.new("1", (width, height)))
        assert f"{has} megapixels; at most 40 can be read" in str(caught.value)


def test_fewer_pixels_can_be_asked_for() -> None:
    data = encoded(picture(), "PNG")
    assert read_image(data, WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match="megapixels"):
        read_image(data, WIDTH * HEIGHT - 1)


def test_a_scan_counts_for_the_channels_that_it_goes_over() -> None:
    """Twelve scans of a channel that has a quarter of the samples are three of one with all."""
    photo = encoded(np.zeros((3000, 3000, 3), np.uint8), "JPEG", progressive=True, subsampling=2)
    places = [found.start() for found in re.finditer(rb"\xff\xda\0\x08\x01[\x02\x03]", photo)]
    end = photo.index(b"\xff", places[0] + 2)
    chroma = photo[places[0] : end]
    assert contents(photo[:-2] + 80 * chroma + photo[-2:]).width == 3000
    with pytest.raises(ImageError, match="goes over its pixels"):
        contents(with_scans(photo, 80))


def test_the_decoder_gets_no_metadata() -> None:
    """Nor frames of an animation after the first."""
    secret = b"Made by Ann at 51.5, -0.1"
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, secret.decode()
    frames = {"save_all": True, "append_images": [Image.new("RGB", (WIDTH, HEIGHT), "red")]}
    photo = Image.fromarray(picture())
    for data in (
        encoded(photo, "JPEG", exif=exif, comment=secret, icc_profile=secret),
        encoded(photo, "PNG", exif=exif, icc_profile=secret),
        encoded(photo, "WEBP", exif=exif, icc_profile=secret, xmp=secret, lossless=True),
        encoded(photo, "WEBP", exif=exif, icc_profile=secret, xmp=secret, **frames),
        encoded(photo, "PNG", exif=exif, **frames),
    ):
        found = contents(data)
        assert secret in data or b"iCCP" in data or b"eXIf" in data
        assert secret not in found.data
        assert b"iCCP" not in found.data
        assert secret in found.exif
        with Image.open(io.BytesIO(found.data)) as image:
            assert getattr(image, "n_frames", 1) == 1
            assert not image.getexif()
        assert read_image(data).shape == (WIDTH, HEIGHT, 3)  # upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone_exactly(orientation: int) -> None:
    stored, exif = with_orientation(picture(), orientation)
    assert np.array_equal(read_image(encoded(stored, "PNG", exif=exif)), picture())
    assert np.array_equal(read_image(encoded(stored, "WEBP", lossless=True, exif=exif)), picture())
    jpeg = read_image(encoded(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert np.abs(jpeg.astype(int) - picture()).mean() < 2


def test_an_orientation_that_makes_no_sense_leaves_the_photo_as_it_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(read_image(encoded(picture(), "PNG", exif=exif)), picture())


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[:2, :, 3] = 255  # black above, nothing below
    rgba[3, :, 3] = 128
    for kind in ("PNG", "WEBP"):
        read = read_image(encoded(rgba, kind, lossless=True))
        assert (read[:2] == 0).all()
        assert (read[2] == 255).all()
        assert np.abs(read[3].astype(int) - 127).max() <= 1


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 20, 9, 9, 9])
    image.putpixel((0, 0), 2)
    read = read_image(encoded(image, "PNG", transparency=2))
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[1, 1].tolist() == [200, 10, 20]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.arange(0, 65536, 256, np.uint16).reshape(16, 16)
    read = read_image(encoded(Image.fromarray(ramp), "PNG"))
    assert np.array_equal(read[..., 0], (ramp >> 8).astype(np.uint8))
    assert np.array_equal(read[..., 0], read[..., 2])


def test_the_first_frame_of_an_animation_is_taken() -> None:
    for name in ("animated.png", "animated.webp"):
        assert np.array_equal(read_image(CORPUS[name].data), picture())


def test_colours_survive_modes() -> None:
    for name in ("palette.png", "progressive.jpg", "scans.jpg", "cmyk.jpg", "multi-picture.jpg"):
        off = np.abs(read_image(CORPUS[name].data).astype(int) - picture()).mean()
        assert off < 30, name
    for name in ("colour-16-bit.png", "interlaced.png", "text-bombs.png"):
        assert np.array_equal(read_image(CORPUS[name].data), picture())


def test_grey_photos_have_three_equal_channels() -> None:
    read = read_image(CORPUS["grey.png"].data)
    assert (read[..., 0] == read[..., 1]).all()
    assert (read[..., 0] == read[..., 2]).all()


def test_a_pil_image_gives_the_same_as_its_file() -> None:
    for name in ("alpha.png", "palette.png", "orientation-6.jpg", "grey-16-bit.png"):
        with Image.open(io.BytesIO(CORPUS[name].data)) as image:
            assert np.array_equal(upright_rgb(image), read_image(CORPUS[name].data))


def test_a_pil_image_of_every_mode_is_converted() -> None:
    for mode in (
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBa",
        "CMYK",
        "YCbCr",
        "HSV",
        "I",
        "F",
    ):
        image = Image.new(mode, (7, 3))
        assert upright_rgb(image).shape == (3, 7, 3), mode


def test_a_pil_image_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    image = Image.new("1", (8000, 5001))
    with pytest.raises(ImageError, match="megapixels"):
        upright_rgb(image)


def test_paths_are_read_and_never_named(tmp_path: Path) -> None:
    good = tmp_path / "a.txt"  # told by content
    good.write_bytes(encoded(picture(), "PNG"))
    assert np.array_equal(read_image(good), picture())
    assert np.array_equal(read_image(str(good)), picture())
    big = tmp_path / "big.jpg"
    big.write_bytes(bytes(MAX_BYTES + 1))
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.jpg", str(tmp_path), tmp_path, big, pipe, "nul\0.jpg", ""):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert str(tmp_path) not in str(caught.value)


def test_what_is_neither_bytes_nor_a_path_is_named() -> None:
    for source in (None, 3, picture(), io.BytesIO(b"x")):
        with pytest.raises(TypeError, match="expected the bytes of a photo or its path, got"):
            read_image(source)


def test_shrink_keeps_what_fits_and_scales_what_does_not() -> None:
    small = picture()
    assert shrink(small, 64) is small
    large = np.repeat(np.repeat(picture(), 40, 0), 40, 1)  # 1920 x 2560
    half = shrink(large, 1280)
    assert half.shape == (960, 1280, 3)
    assert half.dtype == np.uint8
    again = shrink(large, 64)
    assert np.abs(again.astype(int) - picture()).mean() < 3
    assert shrink(np.zeros((20000, 1, 3), np.uint8)).shape == (1600, 1, 3)
