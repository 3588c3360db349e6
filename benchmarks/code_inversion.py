"""Measure what a code gives away: rebuild faces from codes, and read properties off single bits.

    python -m benchmarks.code_inversion train --data FACES/lfw --data FACES/celebrities --work runs/inversion
    python -m benchmarks.code_inversion attack --images LFW --fold 1 --work runs/inversion --out docs/results

The first command trains a decoder (`daah.evaluation.inversion`) on training people, who share no
name with a shipped portrait; FACES are trees of aligned faces, as `prepare` writes them. It can be
stopped and started again. The second attacks other people with it and writes inversion.json and,
of shipped portraits alone, inversion.png.
"""  # noqa: E501 - commands that a reader copies

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import on_stderr
from daah.data.face_set import FaceSet, load_faces
from daah.data.portraits import load_portraits
from daah.data.splits import open_split
from daah.evaluation.encoding import encode_faces
from daah.evaluation.inversion import DecoderSettings, shrink, train_decoder
from daah.files import replacing
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import load_encoder

#: Code lengths that are attacked.
LENGTHS = (16, 24, 32, 48, 64, 96, 128, 256)

#: Most faces of one person in a root: a few people of whom there are hundreds teach little.
_MOST = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train the decoder, or go on with it")
    training.add_argument("--data", type=Path, action="append", required=True, metavar="DIR")
    training.add_argument("--seconds", type=float, default=DecoderSettings().seconds)
    for command in (training,):
        command.add_argument("--work", type=Path, required=True, metavar="DIR")
        command.add_argument(
            "--checkpoint", type=Path, default=Path("checkpoints/demo.safetensors")
        )
    chosen = parser.parse_args(arguments)
    if chosen.command == "train":
        train(chosen.data, chosen.work, chosen.checkpoint, DecoderSettings(seconds=chosen.seconds))


# --- training -------------------------------------------------------------------------------------


def train(roots: Sequence[Path], work: Path, checkpoint: Path, settings: DecoderSettings) -> None:
    """Train the decoder; faces and logits are read once and kept beside it."""
    torch.set_num_threads(1)
    kept = work / "training.npz"
    if not kept.is_file():
        faces = training_faces(roots)
        logits = encode_faces(load_encoder(checkpoint), faces.images, on_stderr)
        work.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as path, path.open("wb") as file:
            np.savez(file, faces=shrink(faces.images), logits=logits, people=faces.person_names)
    with np.load(kept) as held:
        faces, logits = held["faces"], held["logits"]

    def report(row) -> None:
        print(json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)

    network = load_checkpoint(checkpoint).model
    train_decoder(network, faces, logits, LENGTHS, work, settings, report)


def training_faces(roots: Sequence[Path]) -> FaceSet:
    """Faces of training people who share no name with a shipped portrait."""
    faces = load_faces(roots, limit=_MOST)
    rows = open_split(faces).train
    shipped = {short_name(portrait.name) for portrait in load_portraits()}
    named = np.array([short_name(name.replace("_", " ")) for name in faces.person_names[rows]])
    return faces.subset(rows[~np.isin(named, sorted(shipped))])


def short_name(name: str) -> str:
    """First and last name: "John F. Kerry" and "John Kerry" are one."""
    words = [word for word in name.replace(",", " ").split() if word.lower() not in ("jr", "jr.")]
    return f"{words[0]} {words[-1]}".lower()


if __name__ == "__main__":
    main()
