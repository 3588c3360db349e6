"""Measure what the key of a gallery protects, what it costs, and what an attacker with it gets.

    python -m benchmarks.protection --images LFW --fold 1 --name "LFW, validation people" --out docs/results

Writes protection.json and protection.png.
"""  # noqa: E501 - a command that a reader copies

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import on_stderr
from benchmarks.report import write as write_report
from daah import codes, plots
from daah.data.labelled_faces import detect_faces
from daah.evaluation import protection
from daah.evaluation.encoding import encode_faces
from daah.metrics.linkability import Linkability
from daah.models.encoder import Encoder, load_encoder

#: Keys that accuracy is measured with, and pairs of keys of unlinkability.
_KEYS, _PAIRS = 5, 20

#: Code lengths of unlinkability; the picture shows the last.
_LENGTHS = (16, 64, 128, 256)

#: Photos that an attacker knows.
_KNOWN = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write the report and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    parser.add_argument("--name", default="photos", help="what the report calls the photos")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.onnx"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    encoder = load_encoder(chosen.checkpoint)
    faces = detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold)
    logits = encode_faces(encoder, faces.aligned, on_stderr)
    write(encoder, logits, np.asarray(faces.labels), chosen.name, chosen.out)


def write(encoder: Encoder, logits: np.ndarray, labels: np.ndarray, name: str, out: Path) -> None:
    """Measure, and write the report and the picture."""
    report, curves = measure(encoder, logits, labels, name)
    write_report(report, out / "protection.json")
    plots.save_figure(plots.linkability_curves(curves), out / "protection.png")


def measure(
    encoder: Encoder, logits: np.ndarray, labels: np.ndarray, name: str
) -> tuple[dict[str, Any], dict[str, Linkability]]:
    """The report, of plain JSON values, and the curves of the picture."""
    lengths = encoder.lengths
    drawn = protection.arrangements(lengths, _KEYS)
    curves: dict[str, Linkability] = {}
    links: list[dict[str, Any]] = []
    for bits in (length for length in _LENGTHS if length in lengths):
        for same_photo in (False, True):
            found = protection.unlinkability(logits, labels, lengths, bits, _PAIRS, same_photo)
            links.append(
                {"bits": bits, "same_photo": same_photo}
                | {key: round(value.system, 4) for key, value in found.items()}
            )
            if not same_photo:
                curves = {
                    "without keys": found["none, codes"],
                    "two keys": found["keys, codes"],
                    "two keys, both known to the attacker": found["keys known, codes"],
                }
    report = {
        "protocol": "template-protection",
        "data": name,
        "images": len(labels),
        "people": len(np.unique(labels)),
        "checkpoint": {
            "name": encoder.name, "recipe": encoder.recipe, "sha256": encoder.fingerprint,
        },
        "keys": _KEYS,
        "accuracy": [accuracy(encoder, logits, labels, bits, drawn) for bits in lengths],
        "unlinkability": {"pairs_of_keys": _PAIRS, "d_sys": links},
        "renewability": [renewability(logits, labels, drawn, bits) for bits in lengths],
        "known_photos": known_photos(logits, labels, lengths),
    }  # fmt: skip
    return report, curves


def accuracy(
    encoder: Encoder, logits: np.ndarray, labels: np.ndarray, bits: int, drawn: list
) -> dict[str, Any]:
    """One length without a key, with keys, and with a general rotation."""
    templates = [arrangement.template(logits) for arrangement in drawn]
    rng = np.random.default_rng(0)
    rotated = [logits @ protection.rotation(rng, encoder.lengths).T for _ in drawn]
    plain = protection.mean_average_precision(logits, labels, bits)
    keyed = [protection.mean_average_precision(own, labels, bits) for own in templates]
    turned = [protection.mean_average_precision(own, labels, bits) for own in rotated]
    row: dict[str, Any] = {
        "bits": bits,
        "map": plain,
        "map_keyed": float(np.mean(keyed)),
        "map_loss": plain - float(np.mean(keyed)),
        "map_rotated": float(np.mean(turned)),
        "map_loss_rotated": plain - float(np.mean(turned)),
        "first_by_logits": protection.first_by_logits(logits, labels, bits),
        "first_by_logits_keyed": protection.first_by_logits(templates[0], labels, bits),
    }
    if encoder.calibration is not None and bits in encoder.calibration.lengths:
        for name, own in (("", logits), ("_keyed", templates[0])):
            rates = protection.error_rates(own, labels, bits, encoder.calibration)
            row |= {f"{rate}{name}": value for rate, value in rates.items()}
    return row


def renewability(
    logits: np.ndarray, labels: np.ndarray, drawn: list, bits: int
) -> dict[str, float]:
    """Mated distance, as a share of bits, within a key and from the old key to the new one."""
    mated, _ = protection.pairs(labels)
    before, after = (codes.sign(own.template(logits)[:, :bits]) for own in drawn[:2])
    within = (before[mated[:, 0]] != before[mated[:, 1]]).mean(1)
    renewed = (after[mated[:, 0]] != after[mated[:, 1]]).mean(1)
    across = [
        (codes.sign(a.template(logits)[:, :bits]) != codes.sign(b.template(logits)[:, :bits])).mean(
            1
        )
        for a, b in itertools.pairwise(drawn)
    ]
    return {
        "bits": bits,
        "mated_before": float(within.mean()),
        "mated_after": float(renewed.mean()),
        "same_photo_old_to_new": float(np.mean(across)),
        "same_photo_old_to_new_std": float(np.std(across)),
    }


def known_photos(
    logits: np.ndarray, labels: np.ndarray, lengths: Sequence[int]
) -> list[dict[str, float]]:
    """Share of an arrangement that is found from the enrolled photos, and from other ones."""
    people, first, count = np.unique(labels, return_index=True, return_counts=True)
    enrolled = first[count > 1]
    other = np.array([np.flatnonzero(labels == person)[1] for person in people[count > 1]])
    rows = []
    for number in (n for n in _KNOWN if n <= len(enrolled)):
        found: dict[str, list[float]] = {"enrolled": [], "other": []}
        for trial, arrangement in enumerate(protection.arrangements(lengths, _KEYS)):
            chosen = np.random.default_rng(trial).permutation(len(enrolled))[:number]
            stored = arrangement.template(logits[enrolled[chosen]])
            for name, source in (("enrolled", enrolled), ("other", other)):
                share = protection.known_photos(
                    logits[source[chosen]], stored, arrangement, lengths
                )
                found[name].append(share)
        rows.append({"photos": number} | {name: float(np.mean(own)) for name, own in found.items()})
    return rows


if __name__ == "__main__":
    main()
