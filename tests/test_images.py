from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bad_images import Upload, corpus, encoded, heavy, picture, with_orientation
from PIL import Image

from daah.errors import ImageError
from daah.images import MAX_BYTES, MAX_PIXELS, read_image, shrink, upright_rgb

# As daah.images sets them for the program: pytest starts every test with its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
    pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning"),
]

CORPUS = {case.name: case for case in corpus()}

#: What one photo may take, as SECURITY.md promises.
SECONDS, MEGABYTES = 2.0, 300


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
    start = time.process_time()
    check(CORPUS[name])
    assert time.process_time() - start < SECONDS


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
    assert sum(case.word is not None for case in CORPUS.values()) >= 30


_MEASURE = """
import json, re, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from daah.errors import ImageError
from daah.images import read_image

def peak():
    status = Path("/proc/self/status")
    if status.is_file():  # VmHWM starts anew in a new program; on Linux, ru_maxrss does not
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

read_image(Path(sys.argv[2]).read_bytes())  # whatever is loaded once
base, figures = peak(), {}
for path in map(Path, sys.argv[3:]):
    start = time.process_time()
    try:
        read_image(path)
    except ImageError:
        pass
    figures[path.name] = (time.process_time() - start, peak() - base)
print(json.dumps(figures))
"""


def test_photos_at_the_limits_stay_within_time_and_memory(tmp_path: Path) -> None:
    cases = [*corpus(), *heavy()]
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
    assert len(figures) == len(cases)
    assert max(seconds for seconds, _ in figures.values()) < SECONDS
    assert max(megabytes for _, megabytes in figures.values()) < MEGABYTES
    assert done.stderr == ""


@pytest.mark.parametrize("case", heavy(), ids=lambda case: case.name)
def test_photos_at_the_limits_are_read(case: Upload) -> None:
    check(case)
    assert np.prod(case.shape) <= MAX_PIXELS
    assert len(case.data) <= MAX_BYTES


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
    for name in ("palette.png", "progressive.jpg", "cmyk.jpg", "multi-picture.jpg"):
        off = np.abs(read_image(CORPUS[name].data).astype(int) - picture()).mean()
        assert off < 30, name
    assert np.array_equal(read_image(CORPUS["colour-16-bit.png"].data), picture())


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
    big = tmp_path / "big.jpg"
    big.write_bytes(bytes(MAX_BYTES + 1))
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.jpg", tmp_path, big, pipe, Path("nul\0.jpg")):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert str(tmp_path) not in str(caught.value)


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
