"""`train --recipe demo` from a prepared tree to a checkpoint: run, killed, resumed, left out."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from daah.cli import app
from daah.config import DEMO
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import FaceEncoder, load_encoder
from daah.models.graph import graph_of
from daah.training.recipes import demo
from tests.doubles.faces import person_face
from tests.doubles.training import (
    StoppedError,
    few_rounds,
    names,
    stop_after,
    write_small_tree,
    write_trunk,
)

SMALL = {
    "bank": 24,
    "mask_steps": 52,  # more than one row of the log has
    "mask_batch": 2,
    "tune_steps": 3,
    "tune_batch": 8,
    "refine_steps": 2,
    "importance_faces": 4,
    "importance_steps": 2,
    "hash_starts": 2,
}


def train(folder: Path, out: str, *more: str, **settings: Any) -> Result:
    """Train in the folder of `begun`."""
    return CliRunner().invoke(app, arguments(folder, out, *more, **settings))


def arguments(folder: Path, out: str, *more: str, **settings: Any) -> list[str]:
    given = ",".join(f"{name}={value}" for name, value in (SMALL | settings).items())
    return [
        "train", "--recipe", "demo", "--data", str(folder / "faces"),
        "--trunk", str(folder / "trunk.safetensors"), "--out", str(folder / out),
        "--settings", given, *more,
    ]  # fmt: skip


def done(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, (result.exception, result.stderr)
    return json.loads(result.stdout)


def refused(result: Result) -> str:
    """The one line that an error is."""
    assert result.exit_code == 1, (result.exception, result.stdout)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture(scope="module", autouse=True)
def _few_rounds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_rounds(patch)
        yield


def same_run(out: Path, other: Path) -> bool:
    """Whether two runs wrote the same log, and checkpoints that are the same to the last bit.

    safetensors writes the entries of its header in any order.
    """
    ours, theirs = (load_checkpoint(run / "demo.safetensors") for run in (out, other))
    logs = [(run / "log.csv").read_bytes() for run in (out, other)]
    return ours.card() == theirs.card() and logs[0] == logs[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared tree, a trunk, and a finished run in "whole"."""
    folder = tmp_path_factory.mktemp("train")
    write_small_tree(folder / "faces")
    write_trunk(folder / "trunk.safetensors")
    said = done(train(folder, "whole"))
    (folder / "whole.json").write_text(json.dumps(said))
    return folder


def test_a_run_says_what_it_wrote(folder: Path) -> None:
    said = json.loads((folder / "whole.json").read_text())
    assert said["checkpoint"] == str(folder / "whole" / "demo.safetensors")
    assert {f"map_{length}" for length in DEMO.lengths} <= set(said["metrics"])
    assert all(0 <= value <= 1 for key, value in said["metrics"].items() if key != "step")


def test_a_run_leaves_a_log_a_curve_and_its_files(folder: Path) -> None:
    out = folder / "whole"
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["50", "51"]
    assert float(rows[0]["spatial network"]) > 0
    assert 0 <= float(rows[1]["map_64"]) <= 1
    assert rows[0]["map_64"] == ""
    with Image.open(out / "learning.png") as curve:
        assert curve.size[0] > 400
    assert {path.name for path in out.iterdir()} == {
        "bank.npz", "demo.json", "demo.safetensors", "importance.state", "learning.png", "log.csv",
        "mask.state", "refined.state", "trunk.state",
    }  # fmt: skip


def test_the_checkpoint_is_read_and_encodes(folder: Path) -> None:
    checkpoint = load_checkpoint(folder / "whole" / "demo.safetensors")
    assert (checkpoint.config, checkpoint.name) == (DEMO, "demo")
    assert checkpoint.training["people"] == 10
    assert checkpoint.training["kept_out"] == {"people": 2, "images": 6}
    assert checkpoint.training["settings"]["bank"] == 24
    assert set(checkpoint.metrics) == {f"map_{length}" for length in DEMO.lengths}
    encoder = FaceEncoder(graph_of(checkpoint.model), checkpoint.card())
    faces = np.stack([person_face(person, 0) for person in range(4)])
    logits, masks = encoder.encode(faces)
    assert logits.shape == (4, 256)
    assert masks.shape == (4, 14, 14)
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(faces).permute(0, 3, 1, 2).float(), 2)
    with torch.inference_mode():
        expected = checkpoint.model(small)
    np.testing.assert_allclose(masks, expected.mask[:, 0].numpy(), atol=1e-3)
    assert ((logits > 0) == (expected.logits.numpy() > 0)).mean() > 0.99
    assert len({(row > 0).tobytes() for row in logits}) == 4


def test_a_checkpoint_is_exported_by_the_next_command(folder: Path) -> None:
    source = folder / "whole" / "demo.safetensors"
    graph = folder / "demo.onnx"
    said = done(CliRunner().invoke(app, ["export", str(source), "--out", str(graph)]))
    assert said["sha256"] == load_encoder(graph).fingerprint == load_checkpoint(source).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [30, 54])  # in the mask's stage, and in the trunk's
def test_a_stopped_run_resumes_to_the_same_file(
    folder: Path, stopped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"stopped{stopped}"
    with monkeypatch.context() as patch:
        stop_after(patch, stopped)
        assert isinstance(train(folder, out).exception, StoppedError)
    assert not (folder / out / "demo.safetensors").exists()
    assert "add --resume" in refused(train(folder, out))
    monkeypatch.setattr(demo, "make_bank", None)  # it is not made again
    done(train(folder, out, "--resume"))
    assert same_run(folder / out, folder / "whole")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_file(folder: Path) -> None:
    tests = Path(__file__).parents[1]
    script = [sys.executable, str(tests / "cli" / "killed_train.py")]
    ended = subprocess.run(
        [*script, "55", *arguments(folder, "killed")],
        capture_output=True,
        text=True,
        cwd=tests.parent,
        env={**os.environ, "PYTHONPATH": str(tests.parent)},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert {path.name for path in (folder / "killed").iterdir()} == {
        "bank.npz", "demo.json", "mask.state", "trunk.state",
    }  # fmt: skip
    done(train(folder, "killed", "--resume"))
    assert same_run(folder / "killed", folder / "whole")


def test_a_finished_run_is_not_trained_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder / "whole", folder / "again")
    stop_after(monkeypatch, 0)
    done(train(folder, "again", "--resume"))
    assert same_run(folder / "again", folder / "whole")


def test_other_settings_do_not_resume_a_run(folder: Path) -> None:
    before = (folder / "whole" / "demo.safetensors").read_bytes()
    other = "holds a run with other settings, seed, data or people left out"
    assert other in refused(train(folder, "whole", "--resume", tune_steps=4))
    assert other in refused(train(folder, "whole", "--resume", "--seed", "1"))
    assert "no run to resume" in refused(train(folder, "nothing", "--resume"))
    assert (folder / "whole" / "demo.safetensors").read_bytes() == before
    assert not (folder / "nothing").exists()


def test_people_on_a_list_are_left_out(folder: Path) -> None:
    left = [names("training", 10)[0], names("training", 10)[3]]
    (folder / "without.txt").write_text("\n".join([left[0], "", f"  {left[1]} ", "Nobody"]) + "\n")
    without = ("--without", str(folder / "without.txt"))
    done(train(folder, "without", *without, mask_steps=2, refine_steps=0))
    checkpoint = load_checkpoint(folder / "without" / "demo.safetensors")
    assert checkpoint.training["people"] == 8
    assert checkpoint.training["images"] == 24
    whole = load_checkpoint(folder / "whole" / "demo.safetensors")
    assert checkpoint.fingerprint != whole.fingerprint


def test_the_control_has_gates_that_are_always_open(folder: Path) -> None:
    done(train(folder, "control", attention="false"))
    assert not (folder / "control" / "mask.state").exists()
    encoder = load_encoder(folder / "control" / "demo.safetensors")
    assert encoder.card["training"]["settings"]["attention"] is False
    face = person_face(0, 0)[None]
    own, hidden, off = (
        encoder.encode(face, attention)[0]
        for attention in ("model", np.zeros((1, 14, 14), np.float32), "off")
    )
    np.testing.assert_allclose(hidden, off, atol=1e-4)
    np.testing.assert_allclose(own, off, atol=1e-4)
    whole = load_encoder(folder / "whole" / "demo.safetensors")
    closed = whole.encode(face, np.zeros((1, 14, 14), np.float32))[0]
    assert np.abs(closed - whole.encode(face, "off")[0]).max() > 0.01


def test_what_a_run_needs_is_asked_for_first(folder: Path) -> None:
    runner = CliRunner()
    data = ["--data", str(folder / "faces"), "--out", str(folder / "new")]
    bare = ["train", "--recipe", "demo", *data]
    assert "needs --trunk FILE" in refused(runner.invoke(app, bare))
    with_trunk = [*bare, "--trunk", str(folder / "trunk.safetensors")]
    for settings, message in (
        ("epochs=3", "expected NAME=VALUE with a name of"),
        ("bank=many", "bank: expected a number"),
        ("attention=yes", "attention: expected true or false"),
        ("cover=1", "cover: expected more than 0 and less than 1"),
    ):
        assert message in refused(runner.invoke(app, [*with_trunk, "--settings", settings]))
    missing = [*with_trunk, "--without", str(folder / "none.txt")]
    assert "no list of names that can be read" in refused(runner.invoke(app, missing))
    assert not (folder / "new").exists()
