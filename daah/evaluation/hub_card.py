"""A checkpoint as a repository of the Hugging Face Hub: files, and a card made of reports.

Every figure of the card is read from a report of `daah evaluate` or `daah evaluate-closed`, and
only from one that names this checkpoint's fingerprint.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from daah.errors import DataError
from daah.models import hub
from daah.models.encoder import FaceEncoder, load_encoder
from daah.paths import PATHS

#: Committed reports, of the shipped checkpoints.
REPORTS = ("open-set.json", "orl-open-set.json", "closed-set.json")

#: What the method is identified by; CITATION.cff says the same.
DOI = "10.1007/978-3-030-29908-8_20"

#: The licence of the shipped checkpoints, as the Hub names it.
LICENSE = "mit"

_TITLE = "Discriminative Deep Attention-Aware Hashing for Face Image Retrieval"

#: Metrics of a row, and what they are called.
_METRICS = {
    "map": "mAP",
    "rank1": "rank-1",
    "tar_at_far_1e-3": "TAR at FAR 1e-3",
}

#: What the protocols ask, and the task's name in the model index.
_TASKS = {
    "open-set": "Face retrieval among people who are not in the training set (leave-one-out)",
    "closed-set": "Face retrieval among the people of the training set",
}


def write_repository(
    checkpoint: Path,
    folder: Path,
    reports: Sequence[Path] = (),
    license: str = LICENSE,
) -> list[str]:
    """Write what a repository of a checkpoint holds: model, card and licences.

    Args:
        checkpoint: a file of the same name ends in .onnx and .safetensors; either may be named.
        folder: made where there is none; files of the same names are replaced.
        reports: JSON of `evaluate` or `evaluate-closed`; () is the committed reports, of which
            those on another checkpoint are left out.
        license: the identifier that the Hub has for the licence of the weights.

    Returns:
        Names of the files that were written.

    Raises:
        CheckpointError: there is no graph, or it is damaged.
        DataError: a report cannot be read, or is on another checkpoint.
        MissingPackageError: the extra `hub`, which writes cards, is not installed.
    """
    checkpoint = Path(checkpoint)
    graph = checkpoint.with_suffix(".onnx")
    encoder = load_encoder(graph)
    card = model_card(encoder, _read(encoder, reports), license)
    files = {graph: hub.MODEL}
    weights = checkpoint.with_suffix(".safetensors")
    if weights.is_file():
        files[weights] = f"{Path(hub.MODEL).stem}.safetensors"
    files |= {path: path.name for path in sorted(checkpoint.parent.glob("*_LICENSE"))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in files.items():
            shutil.copyfile(source, folder / name)
        (folder / "README.md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}).") from error
    return [*files.values(), "README.md"]


def model_card(encoder: FaceEncoder, reports: Iterable[dict[str, Any]], license: str) -> str:
    """The card of a model, with its evaluation results in the form that the Hub reads.

    Args:
        encoder: the model.
        reports: of this model, as `evaluate` and `evaluate-closed` write them.
        license: as of `write_repository`.

    Returns:
        The text of README.md.

    Raises:
        MissingPackageError: the extra `hub`, which writes cards, is not installed.
    """
    reports = list(reports)
    metadata = {
        "model_name": encoder.name,
        "library_name": "daah",
        "pipeline_tag": "image-feature-extraction",
        "license": license,
        "tags": [
            "face-retrieval", "hashing", "binary-codes", "attention", "onnx", f"doi:{DOI}",
        ],
        "metrics": sorted({key for r in reports for _, _, key, _ in _figures(r)}),
    }  # fmt: skip
    results = [
        {
            "task_type": "image-feature-extraction",
            "task_name": _TASKS[report["protocol"]],
            "dataset_type": _slug(_name(report)),
            "dataset_name": _name(report),
            "metric_type": key,
            "metric_name": f"{name}, {row['bits']} bits, {row.get('distance', 'hamming')} distance",
            "metric_value": round(value, 4),
            "metric_args": {"bits": row["bits"], "distance": row.get("distance", "hamming")},
        }
        for report in reports
        for row, name, key, value in _figures(report)
    ]
    return hub.card_text(metadata, results, _body(encoder, reports))


def _read(encoder: FaceEncoder, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Reports on this encoder. A report that was named has to be one."""
    found = []
    for path in paths or [p for p in map(PATHS.results.joinpath, REPORTS) if p.is_file()]:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            ours = report["checkpoint"]["sha256"] == encoder.fingerprint
            if ours:
                _TASKS[report["protocol"]], _table(report)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: no report of evaluate or evaluate-closed.") from error
        if ours:
            found.append(report)
        elif paths:
            raise DataError(
                f"{path} is on the checkpoint {str(report['checkpoint']['sha256'])[:12]}, this is "
                f"{encoder.fingerprint[:12]}; evaluate this one."
            )
    return found


def _figures(report: dict[str, Any]) -> list[tuple[dict[str, Any], str, str, float]]:
    """Row, name of the metric, its key and its value: of plain rankings alone."""
    return [
        (row, name, key, float(row[key]))
        for row in report["results"]
        if not row.get("rerank")
        for key, name in _METRICS.items()
        # The asymmetric distance has no threshold of pairs.
        if row.get(key) is not None
    ]


def _name(report: dict[str, Any]) -> str:
    """What the photos are; readers of a model index join results of one name."""
    return "closed set" if report["protocol"] == "closed-set" else str(report["data"])


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def _body(encoder: FaceEncoder, reports: list[dict[str, Any]]) -> str:
    lengths = ", ".join(map(str, encoder.lengths))
    training = encoder.card["training"]
    trained = ""
    if {"images", "people"} <= training.keys():
        trained = f"Trained on {training['images']:,} faces of {training['people']:,} people."
    tables = "\n\n".join(map(_table, reports)) or (
        "None yet: `python -m daah evaluate --json FILE` writes a report, and "
        "`python -m daah hub write --report FILE` takes it."
    )
    return f"""# {encoder.name}: face photos to binary codes

An aligned face gives a binary code of {encoder.bits} bits and an attention mask. Faces are
compared by the Hamming distance of their codes. Lengths of prefixes that are codes: {lengths}.
{trained}

The method is *{_TITLE}*
(Xiong, Li, Gu, Gu and Wang, PRICAI 2019, [doi:{DOI}](https://doi.org/{DOI})).

## Use

```bash
pip install 'daah[hub]'
```

```python
import daah

encoder = daah.FaceEncoder.from_pretrained("OWNER/NAME", revision="COMMIT")
for face in daah.FaceDetector().detect(daah.read_image("photo.jpg")):
    logits, masks = encoder.encode(face.aligned[None])
    print("".join("1" if bit else "0" for bit in logits[0] > 0))
```

OWNER/NAME is this repository. A graph is a program: with COMMIT, the whole hash of a commit that
you trust, you always run the same one.

- `model.onnx`: what encodes, by ONNX Runtime. Fingerprint `{encoder.fingerprint}`.
- `model.safetensors`: the same weights for PyTorch, where they are included.
- `NAME_LICENSE`: the notice of a pretrained part, where there is one.

## Figures

{tables}

## Intended use

Demonstrating and studying hashing and attention for face retrieval; comparing hashing methods;
searching a gallery of people who agreed to it. **Out of scope**: identifying people without their
consent, surveillance, access control, and any decision about a person. Codes are biometric data:
enrol somebody only with consent.

## Citation

```bibtex
@inproceedings{{xiong2019ddah,
  title     = {{{_TITLE}}},
  author    = {{Xiong, Zhi and Li, Bo and Gu, Xiaoyan and Gu, Wen and Wang, Weiping}},
  booktitle = {{PRICAI 2019: Trends in Artificial Intelligence}},
  year      = {{2019}},
  doi       = {{{DOI}}}
}}
```
"""


def _table(report: dict[str, Any]) -> str:
    """Figures of a report, one row per code length and distance."""
    rows: dict[tuple[int, str], dict[str, float]] = {}
    for row, name, _, value in _figures(report):
        rows.setdefault((row["bits"], row.get("distance", "hamming")), {})[name] = value
    names = [name for name in _METRICS.values() if any(name in cells for cells in rows.values())]
    lines = [["bits", "distance", *names], ["---"] * (2 + len(names))]
    for (bits, distance), cells in rows.items():
        lines.append([
            str(bits), distance, *(f"{cells[n]:.3f}" if n in cells else "–" for n in names),
        ])  # fmt: skip
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    data = f"{report['images']:,} photos of {report['people']:,} people"
    return (
        f"{_TASKS[report['protocol']]}. {_name(report)}: {data}, {report['queries']:,} queries."
        f"\n\n{table}"
    )
