"""The corpus of bad and odd files through every door: command line, endpoint, page.

The library's own tests on it are in `tests/test_images.py`. The same outcome is expected
everywhere, without a traceback or a path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.visitor import Visitor
from daah.cli import app
from daah.data.sources import Photo
from daah.detection import detector
from daah.images import read_image
from daah.retrieval import loading
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.settings import Settings
from tests.doubles.bad_images import FOREIGN, LARGE, Scene, Upload, corpus, scenes
from tests.doubles.retriever import SquareDetector, SquareEncoder

CORPUS = corpus()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
    pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning"),
]


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing of a file reaches the log."""
    yield
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert "Error" not in printed.err


def refusal(case: Upload, sentence: str) -> None:
    """Whether a sentence refuses the file as it should, and tells nothing of the host."""
    word = "maximum allowed size" if case.word == LARGE and "maximum" in sentence else case.word
    assert word, f"{case.name} is refused: {sentence}"
    assert word in sentence, f"{case.name}: {sentence}"
    assert sentence.rstrip().endswith(".")
    assert "/" not in sentence
    assert "\\" not in sentence


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint=None: SquareEncoder())
    monkeypatch.setattr(detector, "FaceDetector", SquareDetector)
    for case in CORPUS:
        path = tmp_path / case.name
        path.write_bytes(case.data)
        done = CliRunner().invoke(app, ["encode", str(path)])
        assert isinstance(done.exception, SystemExit | None), (case.name, done.exception)
        if case.word is None:
            told = json.loads(done.stdout)
            assert (done.exit_code, told["height"], told["width"]) == (0, *case.shape), case.name
        else:
            assert (done.exit_code, done.stdout) == (1, ""), case.name
            refusal(case, done.stderr.removeprefix("error: "))


def test_the_endpoint(public: str) -> None:
    visitor = Visitor(public)
    for case in CORPUS:
        reply = visitor.upload(case.name, case.data)
        if reply.status == 413:
            refusal(case, reply.text)
            continue
        assert reply.status == 200, case.name
        (path,) = json.loads(reply.body)
        text = visitor.search({"path": path, "meta": {"_type": "gradio.FileData"}}).text
        if case.word is None:
            assert "event: complete" in text, (case.name, text)
            assert '"faces"' in text
        else:
            error = text.partition("event: error\ndata: ")[2]
            refusal(case, json.loads(error.splitlines()[0])["error"])


def test_the_page(public: str) -> None:
    """As its scripts send them: one upload and one event each, on every tab that takes photos."""
    visitor = Visitor(public)
    for case in CORPUS:
        reply = visitor.upload(case.name, case.data)
        if reply.status == 413:
            refusal(case, reply.text)
            continue
        (path,) = json.loads(reply.body)
        photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
        outcome = visitor.send("photo", values={"photo": photo})
        if case.word is None:
            assert outcome.error == "", case.name
            assert "face" in outcome.values["sentence"]
        else:
            refusal(case, outcome.error)
    refused = visitor.photo("text.jpg", b"This is a letter.")
    both = {"photo-first": refused, "photo-second": refused}
    assert FOREIGN in visitor.send("photo-first", values=both).error
    own = {"own-name": "Ann", "own-photo": refused}
    assert FOREIGN in visitor.send("own-add", "click", own).error


@pytest.fixture(scope="module")
def odd(astronaut: np.ndarray, orl_photos: list[Photo]) -> list[Scene]:
    return scenes(astronaut, [photo.rgb for photo in orl_photos[::8]])


@pytest.fixture(scope="module")
def real(retriever: FaceRetriever) -> Iterator[Visitor]:
    """A visitor of the shipped model over ORL."""
    demo = build_app(retriever, Settings())
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    yield Visitor(url)
    demo.close()


def test_odd_photos_have_the_same_faces_everywhere(
    odd: list[Scene], real: Visitor, retriever: FaceRetriever
) -> None:
    for scene in odd:
        found = retriever.search(read_image(scene.data), k=1)
        count = len(found.faces)
        assert scene.least <= count <= scene.most, (scene.name, count)
        photo = real.photo(scene.name, scene.data)
        text = real.search(photo, k=1).text
        assert text.count('"box"') == count, scene.name
        assert f'"faces_left_out": {found.left_out}' in text, scene.name
        outcome = real.send("photo", values={"photo": photo})
        assert outcome.error == ""
        said = outcome.values["sentence"]
        if found.left_out:
            assert f"{count + found.left_out} faces or more found; the {count} largest are" in said
        elif count > 1:
            assert f"{count} faces found" in said, scene.name
        else:
            shown = outcome.values["boxes"].count('class="box')
            assert ("No face" in said) == (shown == 0), scene.name
            # The page alone turns a photo where no face is sure, and says so.
            assert shown == count or "The photo was turned by" in said, scene.name


def test_odd_photos_on_the_command_line(
    odd: list[Scene], tmp_path: Path, retriever: FaceRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint=None: retriever.encoder)
    monkeypatch.setattr(detector, "FaceDetector", lambda: retriever.detector)
    for scene in odd:
        (tmp_path / scene.name).write_bytes(scene.data)
        done = CliRunner().invoke(app, ["encode", str(tmp_path / scene.name)])
        assert done.exit_code == 0, scene.name
        assert scene.least <= len(json.loads(done.stdout)["faces"]) <= scene.most, scene.name
