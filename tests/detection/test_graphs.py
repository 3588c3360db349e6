"""The detector's ONNX files: they compute what facenet-pytorch and PyTorch compute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from torch.nn.functional import grid_sample
from torchvision.ops import nms as torchvision_nms

from daah.data.sources import Photo
from daah.detection import detector as detection_detector
from daah.detection import graphs
from daah.detection.alignment import align
from daah.detection.detector import FaceDetector, nms
from daah.detection.graphs import graph, load
from daah.detection.pyramid import ReducedPhoto, levels
from daah.errors import CheckpointError
from daah.paths import PATHS
from scripts import export_detector

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(graphs._KNOWN)


class Package:
    """One of the package's networks, called as its graph is."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray) -> list[np.ndarray]:
        planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        shifts, *points, both = self.network((planes - 127.5) / 128)
        return [
            shifts.numpy(),
            both[:, 1].numpy(),
            *(p.numpy().reshape(-1, 2, 5).swapaxes(1, 2) for p in points),
        ]


@pytest.fixture(scope="module")
def package() -> dict[str, Package]:
    return {"pnet": Package(PNet()), "rnet": Package(RNet()), "onet": Package(ONet())}


@pytest.fixture(scope="module")
def photos(orl_photos: list[Photo], astronaut: np.ndarray) -> list[np.ndarray]:
    """Photos with one face, with several and with none."""
    several = np.concatenate([photo.rgb for photo in orl_photos[::57]], 1)
    texture = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    return [astronaut, astronaut[:300, 100:400], several, texture] + [
        photo.rgb for photo in orl_photos[::13]
    ]


class TestNetworks:
    def test_pnet_sees_what_the_packages_sees(
        self, package: dict[str, Package], photos: list[np.ndarray]
    ) -> None:
        for photo in photos:
            reduced = ReducedPhoto(photo)
            for size in levels(reduced.width, reduced.height, 20):
                level = reduced.resized(*size)[None]
                for ours, theirs in zip(
                    graph("pnet")(rgb=level), package["pnet"](level), strict=True
                ):
                    assert ours.shape == theirs.shape
                    assert ours == pytest.approx(theirs, abs=1e-5)

    @pytest.mark.parametrize(("name", "side"), [("rnet", 24), ("onet", 48)])
    def test_of_crops_they_say_what_the_packages_say(
        self,
        name: str,
        side: int,
        package: dict[str, Package],
        photos: list[np.ndarray],
        detector: FaceDetector,
    ) -> None:
        """Faces, parts of faces, and what is none."""
        rng = np.random.default_rng(side)
        for photo in photos:
            height, width = photo.shape[:2]
            corner = rng.uniform(-10, [width - 20, height - 20], (20, 2))
            some = np.concatenate([corner, corner + rng.uniform(12, 90, (20, 1))], 1)
            boxes = np.concatenate([detector.locate(photo).boxes, some])
            crops = ReducedPhoto(photo).crops(boxes, side)
            for ours, theirs in zip(graph(name)(rgb=crops), package[name](crops), strict=True):
                assert ours.shape == theirs.shape
                assert ours == pytest.approx(theirs, abs=1e-5)

    def test_with_the_packages_networks_the_same_faces_are_found(
        self, package: dict[str, Package], photos: list[np.ndarray], detector: FaceDetector
    ) -> None:
        """Where two windows score the same to the last digit, rounding chooses, so not in each."""
        theirs = FaceDetector()
        theirs._pnet, theirs._rnet, theirs._onet = package.values()
        off = []
        for photo in photos:
            a, b = detector.locate(photo), theirs.locate(photo)
            assert len(a.boxes) == len(b.boxes)
            off += [
                *np.abs(a.boxes - b.boxes).max(1),
                *np.abs(a.landmarks - b.landmarks).max((1, 2)),
            ]
        assert np.max(off) < 8
        assert np.mean(np.array(off) < 0.05) > 0.95


class TestNms:
    @given(
        arrays(
            np.float32,
            st.tuples(st.integers(0, 40), st.just(4)),
            elements=st.floats(-50, 99, width=16),
        ),
        st.sampled_from([0.5, 0.7]),
        st.randoms(use_true_random=False),
    )
    @settings(max_examples=200)
    def test_it_keeps_what_torchvision_keeps(
        self, boxes: np.ndarray, limit: float, random: object
    ) -> None:
        boxes = np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        scores = np.array([random.choice((0.25, 0.5, random.random())) for _ in boxes], np.float32)
        wanted = torchvision_nms(torch.from_numpy(boxes), torch.from_numpy(scores), limit)
        assert np.array_equal(nms(boxes, scores, limit), wanted.numpy())

    def test_it_keeps_what_torchvision_keeps_of_many(self) -> None:
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 300, (3000, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(12, 99, (3000, 1))], 1)
        scores = rng.random(3000, np.float32)
        tensor = torch.from_numpy(boxes.astype(np.float32))
        wanted = torchvision_nms(tensor, torch.from_numpy(scores), 0.7)
        assert 100 < len(wanted) < 2900
        assert np.array_equal(nms(boxes, scores, 0.7), wanted.numpy())

    def test_of_none_it_keeps_none(self) -> None:
        assert nms(np.empty((0, 4)), np.empty(0, np.float32), 0.5).shape == (0,)


class TestWarp:
    def test_a_face_is_sampled_as_by_pytorch(
        self, photos: list[np.ndarray], detector: FaceDetector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faces = [(photo, face) for photo in photos for face in detector.detect(photo)]
        assert len(faces) > 30
        monkeypatch.setattr("daah.detection.alignment.graph", lambda name: _sampled)
        for photo, face in faces:
            theirs, _ = align(photo, face.landmarks)
            assert theirs.shape == face.aligned.shape
            assert np.abs(theirs.astype(int) - face.aligned).max() <= 1


def _sampled(region: np.ndarray, grid: np.ndarray) -> list[np.ndarray]:
    planes = torch.tensor(region).permute(2, 0, 1)[None].float()
    warped = grid_sample(
        planes, torch.from_numpy(grid), "bicubic", padding_mode="border", align_corners=False
    )
    return [warped[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()]


class TestFiles:
    def test_the_script_writes_what_is_shipped(self, tmp_path: Path) -> None:
        assert export_detector.export(tmp_path / "new") == graphs._KNOWN
        for name in NAMES:
            written = (tmp_path / "new" / name).read_bytes()
            assert written == (PATHS.detector / name).read_bytes(), name

    def test_the_script_refuses_other_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(export_detector._WEIGHTS, "rnet.pt", "0" * 64)
        with pytest.raises(CheckpointError, match=r"rnet\.pt.*2\.5\.3"):
            export_detector.read_weights("rnet.pt")

    def test_the_licence_of_the_weights_is_beside_them(self) -> None:
        notice = (PATHS.detector / "LICENSE.md").read_text()
        assert notice.startswith("MIT License")
        assert "Copyright (c) 2019 Timothy Esler" in notice

    @pytest.mark.parametrize("name", NAMES)
    def test_a_changed_byte_is_refused(self, name: str, tmp_path: Path) -> None:
        data = bytearray((PATHS.detector / name).read_bytes())
        (tmp_path / name).write_bytes(data)
        load(Path(name).stem, tmp_path)
        data[len(data) // 2] ^= 1
        (tmp_path / name).write_bytes(data)
        with pytest.raises(
            CheckpointError, match=f"{name} is not the one of this version"
        ) as error:
            load(Path(name).stem, tmp_path)
        assert str(tmp_path) not in str(error.value)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_detector_with_a_file_missing_says_which(self, name: str, tmp_path: Path) -> None:
        shutil.copytree(PATHS.detector, tmp_path / "detector")
        (tmp_path / "detector" / name).unlink()
        script = (
            "from daah.detection.detector import FaceDetector\n"
            "from daah.errors import CheckpointError\n"
            "try:\n    FaceDetector()\n"
            "except CheckpointError as error:\n    print(error)"
        )
        said = _run(script, DAAH_DETECTOR=str(tmp_path / "detector"))
        assert f"{name} is missing" in said
        assert "DAAH_DETECTOR" in said
        assert str(tmp_path) not in said


def test_detecting_imports_no_pytorch() -> None:
    script = (
        "import sys\n"
        "from daah.data.sources import orl\n"
        "from daah.detection.detector import FaceDetector\n"
        "print(len(FaceDetector().detect(next(orl()).rgb)))\n"
        "print(*{'torch', 'torchvision', 'facenet_pytorch'} & set(sys.modules))\n"
    )
    assert _run(script).splitlines() == ["1", ""]


def _run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_sizes_of_photos(astronaut: np.ndarray) -> None:
    """Whatever the photo's size, the networks are given no more at a time."""
    given: dict[str, int] = {}

    class Watched:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, rgb: np.ndarray) -> list[np.ndarray]:
            given[self.name] = max(given.get(self.name, 0), rgb.size // 3)
            return graph(self.name)(rgb=rgb)

    watched = FaceDetector()
    watched._pnet, watched._rnet, watched._onet = map(Watched, ("pnet", "rnet", "onet"))
    for repeats in ((1, 1), (3, 1), (3, 3)):
        watched.locate(np.tile(astronaut, (*repeats, 1)))
    assert given["pnet"] <= 20_000
    assert given["rnet"] <= detection_detector._BATCH[0] * 24**2
    assert given["onet"] <= detection_detector._BATCH[1] * 48**2
