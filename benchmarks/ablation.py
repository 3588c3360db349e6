"""What each of the paper's parts is worth to the demo network, on clean and on covered queries.

    python -m benchmarks.ablation --images LFW --fold 1 --runs runs --out docs/results

`--runs` holds one folder for each row, each made by `python -m daah train --recipe demo` with the
settings of `VARIANTS`. One detection serves all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.quality import on_stderr
from benchmarks.report import write
from daah import codes
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.evaluation.attention import encode_with_masks
from daah.evaluation.occlusion import LENGTHS, cover_queries
from daah.metrics.bootstrap import bootstrap_people
from daah.metrics.leave_one_out import query_scores
from daah.models.encoder import load_encoder

#: Folder of each variant, what it is called, and the settings of `train` that it was made with.
VARIANTS = {
    "demo": ("all parts", ""),
    "control": ("without spatial attention", "attention=false"),
    "channel": ("without channel attention", "channel_attention=false"),
    "fused": ("without fusing the third stage", "fused_stages=false"),
    "hinge": ("without the face spatial loss", "refine_steps=0"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", default="photos", help="what the report calls the photos")
    parser.add_argument("--fold", type=int, choices=range(5), help="only people of this fold")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    faces = detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold)
    rows = measure(faces, chosen.runs)
    report = {"data": chosen.name, "queries": rows.pop("queries"), "rows": list(rows.values())}
    write(report, chosen.out / "ablation.json")


def measure(faces: LabelledFaces, runs: Path) -> dict[str, object]:
    """Clean and covered mAP of every variant, and its difference to the complete network."""
    hidden = cover_queries(faces, progress=on_stderr)
    found: dict[str, object] = {"queries": len(hidden.query)}
    complete: dict[tuple[str, int], np.ndarray] = {}
    for folder, (name, settings) in VARIANTS.items():
        encoder = load_encoder(runs / folder / "demo.safetensors")
        clean, _ = encode_with_masks(encoder, faces.aligned, "model", on_stderr)
        covered, _ = encode_with_masks(encoder, hidden.images, "model", on_stderr)
        row: dict[str, object] = {"name": name, "settings": settings, "sha256": encoder.fingerprint}
        for bits in LENGTHS:
            stored = codes.from_logits(clean, bits)
            probes = stored.copy()
            probes[hidden.query] = codes.from_logits(covered, bits)
            for kind, searched in (("clean", stored), ("covered", probes)):
                scores = query_scores(stored, faces.labels, probes=searched).average_precision
                own = complete.setdefault((kind, bits), scores)
                people = np.asarray(faces.labels)[hidden.query]
                row[f"{kind}_{bits}"] = float(scores.mean())
                row[f"{kind}_{bits}_loss"] = [
                    float((own - scores).mean()), *bootstrap_people(own - scores, people)
                ]  # fmt: skip
        found[folder] = row
    return found


if __name__ == "__main__":
    main()
