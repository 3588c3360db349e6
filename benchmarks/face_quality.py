"""Measure what the quality of faces says: errors left by discarding, and rates by flaw.

    python -m benchmarks.face_quality --images LFW --fold 1 --name "LFW, validation people"

Photos, and copies that are small, blurred or partly hidden, are searched among people enrolled by
all of their other photos, each also among the others alone. Writes face-quality.json and
face-quality.png. The score was fitted on other people; the limits of searches, and their shifts by
flaw, on photos of these people, with other copies.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.quality import on_stderr
from benchmarks.report import write
from daah import plots
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.errors import ConfigError
from daah.evaluation.face_quality import Outcome, Searches, hard_searches, outcome, search_faces
from daah.models.calibration import Calibration
from daah.models.encoder import Encoder, load_encoder
from daah.models.quality import DOUBTFUL, REFUSED, QualityModel
from daah.plots import Series, save_figure
from daah.types import FLAWS

#: Shares of searches that are discarded, worst first.
DISCARDED = tuple(round(0.02 * step, 2) for step in range(26))

#: Seed of copies; calibration draws others.
SEED = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, metavar="DIR", required=True)
    parser.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    parser.add_argument("--name", default="photos", help="what the figures call the photos")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.onnx"))
    parser.add_argument("--sample", type=int, default=1000, help="photos copied with each flaw")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    encoder = load_encoder(chosen.checkpoint)
    faces = detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold)
    report, figure = measure(encoder, encoder.calibration, faces, chosen.sample)
    write({"data": chosen.name, **report}, chosen.out / "face-quality.json")
    save_figure(figure, chosen.out / "face-quality.png")


def measure(
    encoder: Encoder, calibration: Calibration | None, faces: LabelledFaces, sample: int
) -> tuple[dict[str, Any], Figure]:
    """The report and its figure. Raises ConfigError where quality was not fitted."""
    if calibration is None or calibration.quality is None:
        raise ConfigError("the checkpoint has no fitted quality; run calibrate with --quality")
    model = calibration.quality
    everything = search_faces(encoder, faces, np.arange(len(faces)), progress=on_stderr)
    hard = hard_searches(encoder, faces, everything, sample, SEED, on_stderr)
    people = len(np.unique(faces.labels))
    by_bits = {
        bits: outcome(hard, everything.logits, faces.labels, bits) for bits in encoder.lengths
    }
    scores = np.array([model.score(own) for own in hard.measures])
    natural = np.arange(len(scores)) < len(faces)
    groups = {
        "all photos": natural,
        **{f"{flaw}, photos": natural & _having(hard, model, flaw) for flaw in FLAWS},
        **{flaw: _having(hard, model, flaw) for flaw in FLAWS},
    }
    rows = [
        {"faces": name, "bits": bits}
        | _rates(by_bits[bits], inside, hard, model, calibration, bits, people)
        for name, inside in groups.items()
        for bits in encoder.lengths
    ]
    bits = encoder.bits
    found = by_bits[bits]
    missed = found.missed(calibration.search_limits(bits).limit(people))
    sets = {"photos": natural, "photos and copies": np.ones(len(scores), bool)}
    curves = {
        name: _discarding(scores[keep & found.mated], missed[keep & found.mated])
        for name, keep in sets.items()
    }
    report = {
        "protocol": "face-quality",
        "people": people,
        "photos": len(faces),
        "searches": len(scores),
        "checkpoint": {
            "name": encoder.name,
            "recipe": encoder.recipe,
            "sha256": encoder.fingerprint,
        },
        "limits": dict(model.limits),
        "enrolment": {
            "warned_below": DOUBTFUL,
            "refused_below": REFUSED,
            "photos_warned": float(((scores < DOUBTFUL) & (scores >= REFUSED))[natural].mean()),
            "photos_refused": float((scores < REFUSED)[natural].mean()),
        },
        "bits": bits,
        "discard": {"share": list(DISCARDED), **curves},
        "reliability": _reliability(scores[found.mated], ~missed[found.mated]),
        "rates": rows,
    }
    return report, _figure(report)


def _having(searched: Searches, model: QualityModel, flaw: str) -> np.ndarray:
    return np.array([flaw in model.flaws(own) for own in searched.measures], bool)


def _rates(
    found: Outcome,
    inside: np.ndarray,
    searched: Searches,
    model: QualityModel,
    calibration: Calibration,
    bits: int,
    people: int,
) -> dict[str, Any]:
    """FPIR and FNIR of some searches at the limit of all, and at their own by what flaws they have.

    Each search is also one for somebody who is not enrolled, when its own person is left out.
    """
    limit = calibration.search_limits(bits).limit(people)
    stricter = np.array([model.shift(model.flaws(own), bits).match for own in searched.measures])
    mated = inside & found.mated
    rates: dict[str, Any] = {"searches": int(inside.sum()), "mated": int(mated.sum())}
    for name, limits in (("", np.full(len(inside), limit)), ("_own_limit", limit - stricter)):
        near, missed = found.others <= limits, found.missed(limits)
        rates[f"fpir{name}"] = round(float(near[inside].mean()), 5) if inside.any() else None
        rates[f"fnir{name}"] = round(float(missed[mated].mean()), 5) if mated.any() else None
    return rates


def _discarding(scores: np.ndarray, missed: np.ndarray) -> list[float]:
    """Share of failed searches among those that are left when the worst are discarded."""
    order = np.argsort(scores, kind="stable")
    left = [missed[order[round(share * len(order)) :]] for share in DISCARDED]
    return [round(float(part.mean()), 5) for part in left]


def _reliability(scores: np.ndarray, found: np.ndarray) -> list[dict[str, float]]:
    """How many searches succeed, by score."""
    rows = []
    for low in np.arange(10) / 10:
        inside = (scores >= low) & (scores < low + 0.1)
        if inside.any():
            rows.append(
                {
                    "from": round(float(low), 1),
                    "searches": int(inside.sum()),
                    "score": round(float(scores[inside].mean()), 4),
                    "found": round(float(found[inside].mean()), 4),
                }
            )
    return rows


def _figure(report: dict[str, Any]) -> Figure:
    """Errors left by discarding, and success by score."""
    discard = report["discard"]
    rows = report["reliability"]
    return plots.quality_curves(
        {name: Series(discard["share"], discard[name]) for name in discard if name != "share"},
        Series([row["score"] for row in rows], [row["found"] for row in rows]),
    )


if __name__ == "__main__":
    main()
