"""A gallery whose codes lie on a Milvus server answers as one in a folder does."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah import gallery as galleries
from daah import keys
from daah.detection.detector import FaceDetector
from daah.errors import GalleryError
from daah.gallery import Gallery, rekey, renew
from daah.models.encoder import encode
from daah.retrieval.retriever import FaceRetriever
from tests.doubles.encoder import ProjectionEncoder, encoded
from tests.doubles.milvus_server import TOKEN, MilvusServer
from tests.doubles.waiting import HANG

pytestmark = pytest.mark.milvus


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, milvus_server: MilvusServer
) -> Iterator[tuple[Gallery, Gallery]]:
    """Twelve people in a folder, and their copy on the server."""
    folder, encoder = tmp_path_factory.mktemp("pair"), ProjectionEncoder()
    uri = milvus_server.uri("gallery_copy")
    with (
        Gallery.open(folder / "local", encoder) as local,
        Gallery.open(uri, encoder, folder=folder / "remote") as remote,
    ):
        rows = [(f"p{n // 2}", f"{n % 2}.jpg", encoded(encoder, n)) for n in range(24)]
        local.add_many(rows)
        local.draw_map()
        galleries.copy(local, remote)
        yield local, remote


def test_a_copy_on_the_server_is_the_same_gallery(pair: tuple[Gallery, Gallery]) -> None:
    local, remote = pair
    assert list(remote.entries()) == list(local.entries())
    assert remote.people() == local.people()
    assert galleries.verify(remote, ProjectionEncoder()).ok
    detector, encoder = FaceDetector(), ProjectionEncoder()
    near, far = (FaceRetriever(detector, encoder, gallery) for gallery in pair)
    for bits in (16, 64, 128):
        query = encoded(encoder, 99)
        assert near.match(query, 10, bits) == far.match(query, 10, bits)


def test_a_token_is_never_written_down(pair: tuple[Gallery, Gallery]) -> None:
    remote = pair[1]
    assert remote.provenance.codes.startswith("milvus://127.0.0.1")
    for path in remote.folder.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_it_is_copied_back_without_the_model(
    pair: tuple[Gallery, Gallery], milvus_server: MilvusServer, tmp_path: Path
) -> None:
    uri, home = milvus_server.uri("gallery_copy"), pair[1].folder
    with (
        Gallery.open(uri, None, read_only=True, folder=home) as remote,
        Gallery.open(tmp_path / "back", remote.model) as back,
    ):
        assert galleries.copy(remote, back) == 24
        assert list(back.entries()) == list(pair[0].entries())
        assert galleries.verify(back, ProjectionEncoder()).ok
        assert np.array_equal(back.map().xy, pair[0].map().xy)


def test_another_model_is_refused(
    pair: tuple[Gallery, Gallery], milvus_server: MilvusServer, tmp_path: Path
) -> None:
    uri = milvus_server.uri("gallery_copy")
    with pytest.raises(GalleryError, match=r"fake0.*fake1"):
        Gallery.open(uri, ProjectionEncoder(1), folder=pair[1].folder)
    with pytest.raises(GalleryError):  # also without the folder that says so
        Gallery.open(uri, ProjectionEncoder(1), folder=tmp_path / "new")
    with pytest.raises(GalleryError, match="is on a server"):
        renew(pair[1].folder, ProjectionEncoder(1))


def test_another_key_is_another_collection_and_the_old_one_is_deleted(
    milvus_server: MilvusServer, tmp_path: Path
) -> None:
    encoder, home = ProjectionEncoder(), tmp_path / "home"
    one, two = (keys.Secret(bytes([n]) * 32) for n in (1, 2))
    uri = milvus_server.uri("keyed", consistency="strong")
    with Gallery.open(uri, encoder, folder=home, secret=one) as gallery:
        faces = encode(gallery.encoder(encoder), [encoded(encoder, n).face for n in range(4)])
        gallery.add_many([(f"p{n}", f"{n}.jpg", face) for n, face in enumerate(faces)])
        client = gallery.store._connection.client  # type: ignore[attr-defined]
        old = {name for name in client.list_collections() if name.startswith("keyed_")}
    for secret in (two, one, None):
        rekey(uri, encoder, secret, folder=home)
        with Gallery.open(uri, encoder, folder=home, secret=secret) as gallery:
            assert gallery.people() == {f"p{n}": 1 for n in range(4)}
            assert galleries.verify(gallery, encoder).ok
            client = gallery.store._connection.client  # type: ignore[attr-defined]
            new = {name for name in client.list_collections() if name.startswith("keyed_")}
            assert not new & old
            assert len({name.split("_k")[1][:8] for name in new}) == 1
            assert TOKEN not in (home / "gallery.json").read_text()
        old = new


def test_several_processes_fill_one_gallery(
    milvus_server: MilvusServer, tmp_path: Path, orl_photos: list
) -> None:
    """As `accelerate launch` starts them: each a share, one report, nothing twice or left out."""
    photos = tmp_path / "photos"
    for photo in orl_photos[:6]:
        (photos / photo.person).mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.rgb).save(photos / f"{photo.name}.png")
    for name in ("cut.png", "empty.png"):
        (photos / "s1" / name).touch()
    tests = Path(__file__).parents[1]
    command = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += [str(tests / "gallery" / "accelerate_add.py"), str(photos), "--workers", "0"]
    uri = milvus_server.uri("launched", consistency="strong")
    command += ["--create", "--gallery", uri, "--folder", str(tmp_path / "home")]
    command += ["--refused", str(tmp_path / "refused.jsonl"), "--json", str(tmp_path / "report")]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "PYTHONPATH": str(tests.parent)},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "report").read_text())
    assert (report["seen"], report["added"], report["refused"]) == (8, 6, 2)
    assert report["entries"] == 6
    logs = [(tmp_path / name).read_text() for name in ("refused.jsonl", "refused.jsonl.1")]
    refused = [json.loads(line)["photo"] for log in logs for line in log.splitlines()]
    assert sorted(refused) == ["s1/cut.png", "s1/empty.png"]
    with Gallery.open(uri, ProjectionEncoder(), read_only=True, folder=tmp_path / "home") as filled:
        assert filled.people() == {"s1": 6}
        assert galleries.verify(filled, ProjectionEncoder()).ok


def test_removing_a_person_leaves_nothing(pair: tuple[Gallery, Gallery]) -> None:
    local, remote = pair
    gone = [entry.id for entry in remote.entries("p3")]
    try:
        assert remote.remove("p3") == 2
        assert dataclasses.asdict(next(local.entries("p3")))["person"] == "p3"
        assert "p3" not in remote.people()
        assert not set(gone) & set(remote.map().ids.tolist())
        with pytest.raises(GalleryError):
            remote.entry(gone[0])
        with pytest.raises(GalleryError):
            remote.thumbnail(gone[0])
    finally:
        galleries.copy(local, remote)  # as the other tests expect it
