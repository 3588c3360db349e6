"""Models from a folder, from a cache without a network, and from a server that speaks as the Hub.

Codes are those of the shipped file, to the last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest

from daah import FaceEncoder
from daah.errors import CheckpointError, HubError, MissingPackageError
from daah.models import hub
from daah.paths import PATHS
from tests.doubles.faces import person_face
from tests.doubles.hub import COMMIT, HubServer, hub_server, write_snapshot

NAME = "someone/demo"


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.stack([person_face(person, photo=0) for person in range(3)])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, without a network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A server in place of the Hub, an account's token, and an empty cache."""
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    with hub_server() as state:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", state.address)
        template = state.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        huggingface_hub.close_session()
        yield state
        huggingface_hub.close_session()


def same_codes(first: FaceEncoder, second: FaceEncoder, faces: np.ndarray) -> bool:
    if first.fingerprint != second.fingerprint:
        return False
    return all(
        np.array_equal(a, b) for a, b in zip(first.encode(faces), second.encode(faces), strict=True)
    )


def test_a_folder_is_read(encoder: FaceEncoder, faces: np.ndarray) -> None:
    loaded = FaceEncoder.from_pretrained(PATHS.checkpoints, file="demo.onnx")
    assert same_codes(loaded, encoder, faces)


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_snapshot_is_read_without_a_network(
    revision: str | None, offline: Path, encoder: FaceEncoder, faces: np.ndarray
) -> None:
    write_snapshot(offline, NAME, {"model.onnx": PATHS.checkpoints / "demo.onnx"})
    loaded = FaceEncoder.from_pretrained(NAME, revision, cache_dir=offline)
    assert same_codes(loaded, encoder, faces)


def test_a_snapshot_itself_is_a_folder(offline: Path, encoder: FaceEncoder) -> None:
    graph = PATHS.checkpoints / "demo.onnx"
    snapshot = write_snapshot(offline, NAME, {"model.onnx": graph})
    assert FaceEncoder.from_pretrained(snapshot).fingerprint == encoder.fingerprint


def test_what_is_not_in_the_cache_is_a_named_error(offline: Path) -> None:
    with pytest.raises(HubError, match="not in the cache, and the Hub cannot be reached"):
        hub.fetch(NAME, cache_dir=offline)


def test_a_file_is_downloaded_once_and_checked(
    server: HubServer, tmp_path: Path, encoder: FaceEncoder, faces: np.ndarray
) -> None:
    server.files[f"{NAME}/model.onnx"] = (PATHS.checkpoints / "demo.onnx").read_bytes()
    for _ in range(2):
        loaded = FaceEncoder.from_pretrained(NAME, cache_dir=tmp_path)
    assert same_codes(loaded, encoder, faces)
    assert server.sent == [f"{NAME}/model.onnx"]
    server.files[f"{NAME}/model.onnx"] = b"no graph"
    with pytest.raises(CheckpointError, match="damaged, or no graph"):
        FaceEncoder.from_pretrained(NAME, cache_dir=tmp_path / "other")


def test_a_file_that_is_too_large_is_not_downloaded(server: HubServer, tmp_path: Path) -> None:
    server.files[f"{NAME}/model.onnx"] = b"graph"
    server.sizes[f"{NAME}/model.onnx"] = hub.MAX_BYTES + 1
    with pytest.raises(CheckpointError, match="at most 64 MB"):
        hub.fetch(NAME, cache_dir=tmp_path)
    assert server.sent == []


def test_what_the_server_does_not_have_is_a_named_error(server: HubServer, tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"someone/demo/model\.onnx: no such repository"):
        hub.fetch(NAME, cache_dir=tmp_path)
    server.files[f"{NAME}/model.onnx"] = b"graph"
    with pytest.raises(HubError, match="no such file in this revision"):
        hub.fetch(NAME, file="other.onnx", cache_dir=tmp_path)


@pytest.mark.parametrize("file", ["model.bin", "/etc/model.onnx", "../model.onnx", "model.onnx.py"])
def test_only_models_are_asked_for(file: str) -> None:
    with pytest.raises(CheckpointError, match=r"NAME\.onnx or NAME\.safetensors"):
        hub.fetch(NAME, file=file)


@pytest.mark.parametrize("name", ["demo", "a/b/c", "https://a/b", "../x/y", ""])
def test_another_name_is_a_named_error(name: str) -> None:
    with pytest.raises(HubError, match="OWNER/NAME"):
        hub.fetch(name)


def test_a_folder_has_a_model_and_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"has no model\.onnx"):
        hub.fetch(tmp_path)
    with pytest.raises(HubError, match="no revisions"):
        hub.fetch(tmp_path, revision="main")


def test_a_folder_is_uploaded_and_nothing_else_in_it(server: HubServer, tmp_path: Path) -> None:
    written = {"model.onnx": b"graph", "README.md": b"# card\n", "X_LICENSE": b"MIT"}
    for name, data in {**written, "notes.txt": b"mine", "photo.jpg": b"a face"}.items():
        (tmp_path / name).write_bytes(data)
    assert hub.push_to_hub(tmp_path, NAME) == f"{server.address}/{NAME}/commit/{COMMIT}"
    (made,) = server.made
    assert (made["organization"], made["name"]) == ("someone", "demo")
    # Versions of the client say it in two ways.
    assert made.get("private") or made.get("visibility") == "private"
    assert server.commits == [("Upload a model of daah", written)]
    assert set(server.tokens) == {"Bearer hf_of_a_test"}


def test_a_folder_without_a_card_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(CheckpointError, match=r"has no README\.md: write it by"):
        hub.push_to_hub(tmp_path, NAME)


def test_no_server_is_a_named_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("model.onnx", "README.md"):
        (tmp_path / name).touch()
    with pytest.raises(HubError, match="cannot be reached"):
        hub.push_to_hub(tmp_path, NAME)


def test_without_the_client_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'daah\[hub\]'"):
        hub.fetch(NAME)
