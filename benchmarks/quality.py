"""Run every protocol on one folder-per-person tree of photos, and write figures and plots.

    python -m benchmarks.quality --images PHOTOS --name "LFW, validation people" --out docs/results
    python -m benchmarks.quality --orl --out docs/results

One detection serves all protocols. `--orl` measures the 400 public photos of the ORL
collection instead, which anybody can repeat, and draws a page of searches from them.
`--teacher NPZ` adds the peers' rows, measured on the validation people of that cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.report import write
from daah import codes, metrics, plots
from daah.data import sources
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.evaluation.attention import AttentionReport, evaluate_attention
from daah.evaluation.calibrate import calibration_error, fit_calibration
from daah.evaluation.det import det_figure
from daah.evaluation.dlib_itq import PeerReport, peers
from daah.evaluation.encoding import encode_faces
from daah.evaluation.occlusion import evaluate_occlusion
from daah.evaluation.open_set import evaluate_identification
from daah.evaluation.robustness import (
    CorruptionScores,
    GroupScores,
    corrupted_queries,
    groups,
    kinds,
)
from daah.evaluation.search_examples import retrieval_examples
from daah.evaluation.unseen_people import Report, evaluate
from daah.metrics.leave_one_out import LeaveOneOutScores, pair_distances, queries_with_mates
from daah.models.calibration import Calibration
from daah.models.encoder import Encoder, load_encoder
from daah.plots import Series, save_figure

#: Code length of everything that is shown at one length.
BITS = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="folder of photos by person")
    source.add_argument("--orl", action="store_true", help="the ORL collection instead")
    parser.add_argument("--name", default="photos", help="what the figures call the photos")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.onnx"))
    parser.add_argument(
        "--control", type=Path, metavar="FILE", help="a model trained as long without a mask"
    )
    parser.add_argument("--teacher", type=Path, metavar="NPZ", help="cache for the peers' rows")
    parser.add_argument("--sample", type=int, default=200, help="faces for the attention curves")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument(
        "--identification", action="store_true", help="open-set identification (protocol 3) alone"
    )
    parser.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    chosen = parser.parse_args(arguments)
    encoder = load_encoder(chosen.checkpoint)
    control = load_encoder(chosen.control) if chosen.control else None
    rival = peers(chosen.teacher) if chosen.teacher else None
    with tempfile.TemporaryDirectory() as folder:
        if chosen.orl:
            images, name, prefix = write_orl(Path(folder)), "ORL, 400 photos of 40 people", "orl-"
        else:
            images, name, prefix = chosen.images, chosen.name, ""
        faces = detect_faces(images, progress=on_stderr, fold=chosen.fold)
        if chosen.identification:
            measure_identification(encoder, faces, name, chosen.out, prefix)
            return
        measure(encoder, faces, name, chosen.out, prefix, chosen.sample, rival, control)
        if chosen.orl:
            draw_examples(encoder, faces, chosen.out / "retrieval.png")


def measure(
    encoder: Encoder,
    faces: LabelledFaces,
    name: str,
    out: Path,
    prefix: str = "",
    sample: int = 200,
    rival: PeerReport | None = None,
    control: Encoder | None = None,
) -> None:
    """Protocols 1, 3, 4 and 5 on these faces: out/PREFIX*.json and out/PREFIX*.png."""
    calibration: Calibration | None = encoder.calibration

    def write(what: str, values: Mapping[str, object]) -> None:
        write_report(out / f"{prefix}{what}.json", name, values)

    def draw(what: str, figure: Figure) -> None:
        save_figure(figure, out / f"{prefix}{what}.png")

    report = evaluate(encoder, faces, progress=on_stderr)
    write("open-set", report.to_dict())
    if rival is not None:
        write("peers", rival.to_dict())
    draw("accuracy", accuracy_figure(report, rival))

    logits = encode_faces(encoder, faces.aligned, on_stderr)
    pairs = {
        bits: pair_distances(codes.from_logits(logits, bits), faces.labels)
        for bits in encoder.lengths
    }
    draw("roc", plots.roc_curves({f"{bits} bits": metrics.roc(*pairs[bits]) for bits in pairs}))
    threshold = calibration.threshold(BITS) if calibration else None
    draw("distances", plots.distance_histogram(*pairs[BITS], BITS, threshold))
    draw("precision-recall", precision_recall_figure(logits, faces, encoder.lengths))

    measure_identification(encoder, faces, name, out, prefix)
    if calibration is not None:
        bins = held_out_reliability(logits, faces.labels, calibration.lengths)
        draw("reliability", plots.reliability_diagram(bins))

    attention = evaluate_attention(encoder, faces, sample, progress=on_stderr)
    covered = evaluate_occlusion(encoder, faces, control, progress=on_stderr)
    write(
        "attention",
        attention.to_dict()
        | covered.to_dict()
        | {"details": attention.details(), "occlusion": covered.details()},
    )
    draw("attention", attention_figure(attention))

    damage = corrupted_queries(encoder, faces, BITS, progress=on_stderr)
    by_group = groups(encoder, faces, BITS)
    rows = {
        "bits": BITS,
        "damage": [asdict(row) for row in damage],
        "groups": [row.to_dict() for row in by_group],
    }
    write("slices", rows)
    draw("slices-damage", damage_figure(damage))
    draw("slices-groups", groups_figure(by_group))


def measure_identification(
    encoder: Encoder, faces: LabelledFaces, name: str, out: Path, prefix: str = ""
) -> None:
    """Protocol 3 on these faces."""
    report = evaluate_identification(encoder, faces, progress=on_stderr)
    write_report(out / f"{prefix}identification.json", name, report.to_dict())
    save_figure(det_figure(report), out / f"{prefix}identification.png")


def write_report(path: Path, name: str, values: Mapping[str, object]) -> None:
    """A report as JSON, with what its photos are called."""
    write({"data": name, **values}, path)


def accuracy_figure(report: Report, rival: PeerReport | None) -> Figure:
    """mAP by code length, ours and the peers'."""
    ours = {
        "this project": length_series(
            [r for r in report.results if r.distance == "hamming" and not r.rerank]
        ),
        "asymmetric distance": length_series(
            [r for r in report.results if r.distance == "asymmetric"]
        ),
        "re-ranked by logits": length_series([r for r in report.results if r.rerank]),
    }
    if rival is None:
        return plots.accuracy_by_length(ours, {}, {})
    by_code = [row.scores for row in rival.rows if row.scores.bits]
    return plots.accuracy_by_length(
        ours,
        {"dlib and ITQ": length_series([s for s in by_code if not s.rerank])},
        {
            f"dlib, {row.bytes} bytes of floats": row.scores.map
            for row in rival.rows
            if not row.scores.bits
        },
    )


def length_series(scores: Sequence[LeaveOneOutScores]) -> Series:
    """mAP with its interval by code length."""
    return Series(
        [s.bits for s in scores],
        [s.map for s in scores],
        [s.map_ci95[0] for s in scores],
        [s.map_ci95[1] for s in scores],
    )


def precision_recall_figure(
    logits: np.ndarray, faces: LabelledFaces, lengths: Sequence[int]
) -> Figure:
    """Precision and recall of everything within a distance, pooled over all searches."""
    person, queries = queries_with_mates(faces.labels)
    others = queries[:, None] != np.arange(len(person))
    same = person[queries][:, None] == person
    curves = {}
    for bits in lengths:
        packed = codes.from_logits(logits, bits)
        found = metrics.tie_groups(codes.hamming(packed[queries], packed), same, others)
        curves[f"{bits} bits"] = metrics.precision_recall(found)
    return plots.precision_recall_curves(curves)


def held_out_reliability(
    logits: np.ndarray, labels: Sequence[str], lengths: Sequence[int]
) -> dict[str, metrics.Reliability]:
    """Reliability of probabilities that are fitted on a half of the people and tested on the other.

    It estimates the error of the method where the shipped calibration was fitted on these people.
    """
    labels = np.asarray(labels)
    people = np.random.default_rng(0).permutation(np.unique(labels))
    inside = np.isin(labels, people[: len(people) // 2])
    bins = {}
    for bits in lengths:
        packed = codes.from_logits(logits, bits)
        fitted = fit_calibration({bits: pair_distances(packed[inside], labels[inside])})
        others = pair_distances(packed[~inside], labels[~inside])
        bins[f"{bits} bits"] = calibration_error(fitted, bits, *others)
    return bins


def attention_figure(report: AttentionReport) -> Figure:
    """Deletion and insertion in the three orders."""
    curves = report.curves
    orders = {"attention": "", "random": "_random", "middle first": "_gaussian"}

    def of(kind: str) -> dict[str, Series]:
        return {
            name: Series(curves.fractions, getattr(curves, kind + suffix))
            for name, suffix in orders.items()
        }

    return plots.fidelity(of("deletion"), of("insertion"), curves.blurred)


def damage_figure(scores: Sequence[CorruptionScores]) -> Figure:
    """A panel a kind of damage that has a strength."""
    labels = {
        "face_width": "width of the face in pixels",
        "blur": "spread of the blur in pixels of 224",
        "rotation": "rotation in degrees",
    }
    clean = next(score for score in scores if score.kind == "clean")
    panels = {}
    for kind, rows in kinds(scores).items():
        if len(rows) > 1:
            values = [row.value for row in rows]
            panels[labels.get(kind, kind)] = {
                "mAP": Series(
                    values,
                    [r.map for r in rows],
                    [r.map_ci95[0] for r in rows],
                    [r.map_ci95[1] for r in rows],
                ),
                "TAR at FAR 1e-3": Series(values, [r.tar for r in rows]),
            }
    return plots.slices(panels, {"mAP": clean.map, "TAR at FAR 1e-3": clean.tar})


def groups_figure(rows: Sequence[GroupScores]) -> Figure:
    """A panel an attribute: scores by the middle of each group's range."""
    panels: dict[str, dict[str, Series]] = {}
    for attribute in dict.fromkeys(row.attribute for row in rows):
        own = [row for row in rows if row.attribute == attribute]
        middle = [(row.low + row.high) / 2 for row in own]
        panels[attribute.replace("_", " ")] = {
            "mAP": Series(
                middle,
                [r.map for r in own],
                [r.map_ci95[0] for r in own],
                [r.map_ci95[1] for r in own],
            ),
            "TAR at one threshold": Series(
                middle,
                [r.tar for r in own],
                [r.tar_ci95[0] for r in own],
                [r.tar_ci95[1] for r in own],
            ),
        }
    return plots.slices(panels, {})


def draw_examples(encoder: Encoder, faces: LabelledFaces, path: Path) -> None:
    """A page of searches that went well and of some that did not, with how many there are."""
    found = retrieval_examples(encode_faces(encoder, faces.aligned), faces, BITS)
    title = (
        f"Searches at {BITS} bits; above each face its distance. The right person is first for "
        f"{found.good_queries} of {found.good_queries + found.bad_queries}.\n"
        f"{len(found.good)} of those, and {len(found.bad)} of the others, drawn at random."
    )
    save_figure(plots.retrieval_page([*found.good, *found.bad], title), path)


def write_orl(folder: Path) -> Path:
    """The built-in collection as a tree of files like any other."""
    for photo in sources.orl():
        path = folder / photo.person / (photo.name.replace("/", "-") + ".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo.rgb).save(path)
    return folder


_last = [0.0]


def on_stderr(done: int, total: int, what: str) -> None:
    """A line every few seconds, and one at the end of each step."""
    now = time.monotonic()
    if done == total or now - _last[0] > 5:
        _last[0] = now
        print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
