"""Measure what a code gives away: rebuild faces from codes, and read properties off single bits.

    python -m benchmarks.code_inversion train --data FACES/lfw --data FACES/celebrities --work runs/inversion
    python -m benchmarks.code_inversion attack --images LFW --fold 1 --work runs/inversion --out docs/results

    python -m benchmarks.code_inversion pictures --work runs/inversion --out docs/results

The first command trains a decoder (`daah.evaluation.inversion`) on training people, who share no
name with a shipped portrait; FACES are trees of aligned faces, as `prepare` writes them. It can be
stopped and started again. The second attacks other people with it, reads
properties off the bits, and writes inversion.json; the third draws what is rebuilt of shipped
portraits, which the decoder was not trained on.
"""  # noqa: E501 - commands that a reader copies

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.quality import on_stderr
from benchmarks.report import write as write_report
from daah import plots
from daah.data.face_set import FaceSet, load_faces
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.data.occlusion import occlude
from daah.data.portraits import load_portraits
from daah.data.splits import open_split
from daah.evaluation.encoding import encode_faces
from daah.evaluation.inversion import (
    Decoder,
    DecoderSettings,
    given,
    load_decoder,
    rebuild,
    settings_of,
    shrink,
    train_decoder,
)
from daah.evaluation.protection import arrangements
from daah.files import replacing
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import FaceEncoder, load_encoder
from daah.types import ALIGNED_SIZE

#: Code lengths that are attacked.
LENGTHS = (16, 24, 32, 48, 64, 96, 128, 256)

#: Most faces of one person in a root: a few people of whom there are hundreds teach little.
_MOST = 100

#: People who are attacked, and photos that glasses are drawn on.
_ATTACKED, _GLASSES = 150, 300

#: Portraits in the picture, and the code lengths that it shows.
_PICTURED, _PICTURED_LENGTHS = 8, (16, 64, 128, 256)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train the decoder, or go on with it")
    training.add_argument("--data", type=Path, action="append", required=True, metavar="DIR")
    training.add_argument("--seconds", type=float, default=DecoderSettings().seconds)
    attacking = commands.add_parser("attack", help="attack other people, read properties off bits")
    attacking.add_argument("--images", type=Path, required=True, metavar="DIR")
    attacking.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    attacking.add_argument("--name", default="photos", help="what the report calls the photos")
    drawing = commands.add_parser("pictures", help="rebuild shipped portraits")
    for command in (attacking, drawing):
        command.add_argument("--out", type=Path, default=Path("docs/results"))
    for command in (training, attacking, drawing):
        command.add_argument("--work", type=Path, required=True, metavar="DIR")
        command.add_argument(
            "--checkpoint", type=Path, default=Path("checkpoints/demo.safetensors")
        )
    chosen = parser.parse_args(arguments)
    if chosen.command == "train":
        train(chosen.data, chosen.work, chosen.checkpoint, DecoderSettings(seconds=chosen.seconds))
        return
    encoder = load_encoder(chosen.checkpoint)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.command == "pictures":
        draw(encoder, chosen.work, chosen.out)
        return
    faces = detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold)
    logits = encode_faces(encoder, faces.aligned, on_stderr)
    write(encoder, faces, logits, chosen.work, chosen.name, chosen.out)


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


# --- attacking ------------------------------------------------------------------------------------


def write(
    encoder: FaceEncoder,
    faces: LabelledFaces,
    logits: np.ndarray,
    work: Path,
    name: str,
    out: Path,
) -> None:
    """Attack, read properties, and write the report."""
    with np.load(work / "training.npz") as held:
        trained = {
            "faces": len(held["people"]),
            "people": len(np.unique(held["people"])),
            "settings": settings_of(work),
        }
    report = {
        "protocol": "code-inversion",
        "data": name,
        "images": len(faces),
        "checkpoint": {
            "name": encoder.name, "recipe": encoder.recipe, "sha256": encoder.fingerprint,
        },
        "decoder": trained,
        **attack(encoder, faces, logits, load_decoder(work, encoder.bits)),
        "properties": properties(encoder, faces, logits),
    }  # fmt: skip
    write_report(report, out / "inversion.json")


def attack(
    encoder: FaceEncoder, faces: LabelledFaces, logits: np.ndarray, decoder: Decoder
) -> dict[str, Any]:
    """Rebuild one photo of each person from what a gallery holds, and search with it.

    Success is a distance within the shipped threshold: to the code that the face was rebuilt from
    (type I), and to that of another photo of the person (type II).
    """
    labels = np.asarray(faces.labels)
    people, first, count = np.unique(labels, return_index=True, return_counts=True)
    several = np.flatnonzero(count > 1)[:_ATTACKED]
    stolen = first[several]
    other = np.array([np.flatnonzero(labels == person)[1] for person in people[several]])
    (arrangement,) = arrangements(encoder.lengths, 1)
    template = arrangement.template(logits[stolen])
    sources = {
        "no key": logits[stolen],
        "key, unknown to the attacker": template,
        "key, known to the attacker": arrangement.undo(template),
    }
    rows = []
    for known, held in sources.items():
        for real in (False, True):
            for bits in LENGTHS if not real else LENGTHS[-2:]:
                rebuilt = rebuild(decoder, given(held, bits, real), ALIGNED_SIZE)
                made = encode_faces(encoder, rebuilt)
                rows.append(
                    {"key": known, "from": "logits" if real else "code", "bits": bits}
                    | success(encoder, made, logits[stolen], logits[other], bits)
                )
                print(json.dumps(rows[-1]), flush=True)
    strangers = np.roll(logits[stolen], 1, axis=0)
    return {
        "attacked": len(stolen),
        "results": rows,
        "another_photo": [
            {
                "bits": bits,
                "match": within(encoder, logits[other], logits[stolen], bits),
                "stranger": within(encoder, strangers, logits[stolen], bits),
            }
            for bits in LENGTHS
        ],
    }


def success(
    encoder: FaceEncoder, made: np.ndarray, own: np.ndarray, other: np.ndarray, bits: int
) -> dict[str, float]:
    """Share of attacks of both types within the threshold, at the stolen length and at the whole.

    The system that is attacked compares as many bits as were stolen, or all of them.
    """
    found = {}
    for suffix, length in (("", bits), ("_at_whole", encoder.bits)):
        for name, target in (("type1", own), ("type2", other)):
            found[f"{name}{suffix}"] = within(encoder, made, target, length)
    return found


def within(encoder: FaceEncoder, made: np.ndarray, target: np.ndarray, bits: int) -> float:
    """Share of pairs of rows whose codes differ by no more than the shipped threshold."""
    differ = ((made[:, :bits] > 0) != (target[:, :bits] > 0)).sum(1)
    return float((differ <= encoder.calibration.threshold(bits)).mean())


# --- properties -----------------------------------------------------------------------------------


def properties(
    encoder: FaceEncoder, faces: LabelledFaces, logits: np.ndarray
) -> list[dict[str, Any]]:
    """How well dark glasses, pose and skin luminance are read off bits, as area under the curve.

    Of single bits, and of all bits by logistic regression that is fitted on half of the people and
    tested on the others. Glasses are drawn on, because photos do not say who wears any.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    labels = np.asarray(faces.labels)
    points = faces.aligned_landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    nose = points[:, 2] - points[:, :2].mean(1)
    turn = np.abs((nose * eyes).sum(1) / (eyes**2).sum(1))
    skin = luminance(faces.aligned, points)
    rng = np.random.default_rng(0)
    worn = rng.permutation(len(labels))[:_GLASSES]
    covered = np.stack(
        [occlude(faces.aligned[i], points[i], "aviator glasses", rng).image for i in worn]
    )
    with_glasses = encode_faces(encoder, covered, on_stderr)
    cases = {
        "dark glasses, drawn on": (
            np.concatenate([logits[worn], with_glasses]),
            np.repeat([False, True], len(worn)),
            np.concatenate([labels[worn]] * 2),
        ),
        "pose: turned more than most": (logits, turn > np.median(turn), labels),
        "skin luminance over the median": (logits, skin > np.median(skin), labels),
    }
    found = []
    for name, (values, truth, people) in cases.items():
        bits = values > 0
        single = np.array([roc_auc_score(truth, column) for column in bits.T])
        single = np.maximum(single, 1 - single)
        halves = np.array([int(hashlib.md5(p.encode()).hexdigest(), 16) // 5 % 2 for p in people])
        fitted = {}
        for length in LENGTHS:
            model = LogisticRegression(C=0.1, max_iter=1000)
            model.fit(bits[halves == 0, :length], truth[halves == 0])
            score = model.decision_function(bits[halves == 1, :length])
            fitted[str(length)] = float(roc_auc_score(truth[halves == 1], score))
        found.append(
            {
                "property": name,
                "photos": len(truth),
                "auc_by_bit": np.round(single, 4).tolist(),
                "auc_best_bit": float(single.max()),
                "auc_median_bit": float(np.median(single)),
                "auc_of_all": fitted,
            }
        )
    return found


def luminance(aligned: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Mean luma of both cheeks: squares between each eye and the corner of the mouth below."""
    found = []
    for face, own in zip(aligned, points, strict=True):
        luma = face.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
        cheeks = []
        for eye, mouth in ((0, 3), (1, 4)):
            x, y = np.rint((own[eye] + own[mouth]) / 2).astype(int)
            cheeks.append(luma[max(y - 8, 0) : y + 8, max(x - 8, 0) : x + 8].mean())
        found.append(float(np.mean(cheeks)))
    return np.array(found)


# --- pictures -------------------------------------------------------------------------------------


def draw(encoder: FaceEncoder, work: Path, out: Path) -> None:
    """Shipped portraits, and what is rebuilt of their codes with and without a key."""
    decoder = load_decoder(work, encoder.bits)
    portraits = load_portraits()[:: max(1, len(load_portraits()) // _PICTURED)][:_PICTURED]
    faces = np.stack(
        [np.asarray(Image.open(io.BytesIO(p.read())).convert("RGB")) for p in portraits]
    )
    logits = encode_faces(encoder, faces)
    (arrangement,) = arrangements(encoder.lengths, 1)
    template = arrangement.template(logits)
    rows: dict[str, np.ndarray] = {"photo": faces}
    for bits in _PICTURED_LENGTHS:
        rows[f"from {bits} bits"] = rebuild(decoder, given(logits, bits, False), ALIGNED_SIZE)
    rows["from the logits"] = rebuild(decoder, given(logits, encoder.bits, True), ALIGNED_SIZE)
    kept = {"from 256 bits,\nkey unknown": template}
    kept["from 256 bits,\nkey known"] = arrangement.undo(template)
    for name, held in kept.items():
        rows[name] = rebuild(decoder, given(held, encoder.bits, False), ALIGNED_SIZE)
    plots.save_figure(plots.mask_page(rows), out / "inversion.png")


if __name__ == "__main__":
    main()
