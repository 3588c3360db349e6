"""Training end to end on a few people of ORL: it learns, it resumes, it repeats."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from daah import codes
from daah.errors import CheckpointError, DataError
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import load_encoder
from daah.training.loop import TrainingConfig
from daah.training.recipes.paper import PaperSettings
from daah.training.runs import train_paper
from tests.doubles.waiting import HANG, eventually

PEOPLE = 8


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, orl_photos, detector) -> Path:
    """Aligned faces of the first people of ORL, as `prepare` would write them."""
    root = tmp_path_factory.mktemp("faces") / "orl"
    for photo in orl_photos[: 10 * PEOPLE]:
        found = detector.detect(photo.rgb)
        folder = root / photo.person
        folder.mkdir(parents=True, exist_ok=True)
        for face in found[:1]:
            Image.fromarray(face.aligned).save(folder / f"{photo.name.replace('/', '_')}.png")
    return root


SMALL = PaperSettings(bits=24, batch=32, lr=3e-3)


def paper(faces: Path, out: Path, epochs: int, resume: bool = False):
    return train_paper([faces], out, SMALL, TrainingConfig(epochs), minimum=8, resume=resume)


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("run") / "paper"
    return paper(faces, out, 12), out


@pytest.mark.slow
def test_the_paper_recipe_learns_a_tiny_set(run, faces: Path) -> None:
    report, _out = run
    first, last = report.history[1], report.history[-1]
    assert last["attended"] < 0.5 * first["attended"]
    assert report.history[report.best_epoch]["map"] > 0.8
    encoder = load_encoder(report.checkpoint)
    people = sorted(faces.iterdir())
    images = np.stack([np.asarray(Image.open(f)) for p in people for f in sorted(p.iterdir())])
    labels = np.concatenate([[i] * len(list(p.iterdir())) for i, p in enumerate(people)])
    packed = codes.pack(codes.sign(encoder.encode(images)[0]))
    distance = codes.hamming(packed, packed)
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    assert distance[same].mean() + 4 < distance[labels[:, None] != labels].mean()


@pytest.mark.slow
def test_a_run_leaves_a_log_a_curve_and_a_checkpoint_with_its_card(run) -> None:
    report, out = run
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(13))
    assert {"attended", "plain", "spatial", "map", "rank1", "seconds"} <= set(rows[1])
    assert Image.open(out / "learning.png").size[0] > 400
    loaded = load_checkpoint(report.checkpoint)
    assert loaded.training["people"] == PEOPLE
    assert loaded.metrics["epoch"] == report.best_epoch
    assert loaded.training["settings"]["bits"] == 24


@pytest.mark.slow
def test_resuming_continues_to_the_same_weights(run, faces: Path, tmp_path: Path) -> None:
    whole, _out = run
    paper(faces, tmp_path / "cut", 12 // 2)
    resumed = paper(faces, tmp_path / "cut", 12, resume=True)
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert {k: v for k, v in ours.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in theirs.items() if k != "seconds"}, rel=1e-4, abs=1e-4
        )


@pytest.mark.slow
def test_a_folder_with_a_run_is_neither_overwritten_nor_imagined(run, faces, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="add --resume"):
        paper(faces, run[1], 12)
    with pytest.raises(CheckpointError, match="no run to resume"):
        paper(faces, tmp_path / "nothing", 1, resume=True)
    with pytest.raises(DataError, match="nobody has 20"):
        train_paper([faces], tmp_path / "x", SMALL, TrainingConfig(1), minimum=20)


@pytest.mark.slow
def test_a_killed_run_resumes_from_the_command_line(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [
        sys.executable, "-m", "daah", "train", "--recipe", "paper", "--data", str(faces),
        "--out", str(out), "--epochs", "400", "--minimum", "8", "--settings", "bits=12,batch=32",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually((out / "state.pt").is_file)
        assert process.poll() is None, "training stopped before it was killed"
    finally:
        process.kill()
        process.wait()
    done = len(torch.load(out / "state.pt", weights_only=True)["history"])
    command[command.index("400")] = str(done)
    result = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with (out / "log.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(done + 1))


@pytest.mark.slow
def test_gradients_are_averaged_over_two_processes(faces: Path, tmp_path: Path) -> None:
    """`accelerate launch` on two processes writes one run, from both processes' gradients."""
    out = tmp_path / "two"
    result = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
            "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
            "-m", "daah", "train", "--recipe", "paper", "--data", str(faces), "--out", str(out),
            "--epochs", "2", "--minimum", "8", "--settings", "bits=12,batch=32",
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=HANG,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    with (out / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3
    assert load_checkpoint(out / "paper.safetensors").config.bits == 12
    assert Accelerator(cpu=True).num_processes == 1
