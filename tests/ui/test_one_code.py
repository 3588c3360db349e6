"""A face has one code, whichever door its photo comes through: here one of 2,000 pixels a side."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.visitor import Visitor
from daah import codes
from daah.cli import app as command_line
from daah.data.labelled_faces import detect_faces
from daah.data.prepare import prepare
from daah.detection import detector
from daah.gallery import Gallery, build, enrol, manifest
from daah.images import read_image
from daah.retrieval import loading
from daah.retrieval.retriever import FaceRetriever
from daah.ui.gallery import actions as gallery_actions
from daah.ui.search import actions as search_actions
from daah.ui.search import result_json
from daah.ui.state.session import ATTENTION_ON, SHOWN_SIDE, Options

SIDE = 2000


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A folder of one person with one large photo."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "Eileen").mkdir()
    large = Image.fromarray(astronaut).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    large.save(folder / "Eileen" / "photo.jpg", quality=95)
    return folder


def test_one_face_has_one_code(
    tree: Path,
    tmp_path: Path,
    retriever: FaceRetriever,
    app: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tree / "Eileen" / "photo.jpg"
    rgb = read_image(path)
    (wanted,) = retriever.encode(retriever.detect(rgb))
    code = codes.to_hex(codes.pack(wanted.code.bits))
    small = retriever.detect(np.array(Image.fromarray(rgb).resize((1600, 1600))))[0].aligned
    assert not np.array_equal(small, wanted.face.aligned)  # the doors could have disagreed

    bits = retriever.bits
    session = search_actions.search(retriever, rgb, Options(bits, 1, 20))
    (face,) = session.encoded[ATTENTION_ON]
    assert codes.to_hex(codes.pack(face.code.bits)) == code
    assert max(session.photo.shape) == SHOWN_SIDE  # the photo itself is not kept
    document = result_json.document(search_actions.look(retriever, session, Options(bits, 1, 20)))
    (described,) = document["faces"]
    assert described["box"] == [round(float(v), 1) for v in wanted.face.box]

    visitor = Visitor(app)
    photo = visitor.photo("photo.jpg", path.read_bytes())
    text = visitor.search(photo, bits=bits).text.partition("event: complete\ndata: ")[2]
    (answer,) = json.loads(text.splitlines()[0])
    (asked,) = answer["faces"]
    assert (asked["code"], asked["box"]) == (code, described["box"])
    drawn = visitor.send("photo", values={"photo": photo}).values["download"]
    saved = base64.b64decode(drawn.partition(";base64,")[2].partition('"')[0])
    assert [face["code"] for face in json.loads(saved)["faces"]] == [code]

    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint=None: retriever.encoder)
    monkeypatch.setattr(detector, "FaceDetector", lambda: retriever.detector)
    done = CliRunner().invoke(command_line, ["encode", str(path)])
    assert [face["code"] for face in json.loads(done.stdout)["faces"]] == [code]

    told: list[str] = []
    own = gallery_actions.main_face(retriever, rgb, told.append, told.append)
    assert codes.to_hex(codes.pack(own.code.bits)) == code

    for name in ("added", "built"):
        with Gallery.open(tmp_path / name, retriever.encoder) as gallery:
            if name == "added":
                enrol.add(
                    gallery,
                    manifest.listing(tree),
                    retriever.encoder,
                    workers=0,
                    make_detector=lambda: retriever.detector,
                )
            else:
                build(gallery, tree, retriever.detector, retriever.encoder)
            (entry,) = gallery.entries()
            assert np.array_equal(gallery.thumbnail(entry.id), wanted.face.aligned)
            hits = gallery.store.search(codes.pack(wanted.code.bits)[None], 1, bits)
            assert hits.distances[0, 0] == 0

    assert np.array_equal(detect_faces(tree, retriever.detector).aligned[0], wanted.face.aligned)
    prepare(tree, tmp_path / "prepared", workers=0, file_format="png")
    crop = tmp_path / "prepared" / "Eileen" / "photo.png"
    with Image.open(io.BytesIO(crop.read_bytes())) as image:
        assert np.array_equal(np.asarray(image), wanted.face.aligned)
