"""Reads what was measured: the checkpoint's own card and the reports in docs/results.

Reports and figures of one run share the prefix of their names ("orl-attention.json"). Where that
run's report names another checkpoint, nothing of it is shown as if it were about this one. Nothing
here computes a figure.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daah.models.encoder import FaceEncoder
from daah.ui.report_tables import READERS, Table, calibration

RESULTS = Path(__file__).resolve().parent.parent.parent / "docs" / "results"

#: A report larger than this is not one of ours.
_LARGEST = 20 * 2**20


@dataclass(frozen=True)
class Picture:
    """A committed figure: its file and the words that stand for it."""

    path: Path
    alt: str


@dataclass(frozen=True)
class Section:
    """One question with its answer: tables and pictures, or what is missing."""

    title: str
    question: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    missing: str


#: The questions, in order: title, question, reports, figures, and what would answer it.
_QUESTIONS = (
    (
        "Accuracy by code length",
        "How often is the right person found, among people whom training never saw?",
        ("open-set", "peers"),
        ("accuracy", "precision-recall", "retrieval"),
        "python benchmarks/quality.py",
    ),
    (
        "The limit for the same person",
        "How sure is a verdict, and how often would it be wrong?",
        ("calibration",),
        ("roc", "distances", "reliability"),
        "a calibrated checkpoint",
    ),
    (
        "People who are not in the gallery",
        "How often does a stranger get a name?",
        ("unknown-people",),
        ("unknown-people",),
        "python benchmarks/quality.py",
    ),
    (
        "Can the heatmap be trusted?",
        "Does hiding what the model looks at change the code more than hiding anything else?",
        ("attention",),
        ("attention",),
        "python -m daah evaluate-attention",
    ),
    (
        "Small, blurred, turned and covered faces",
        "What makes it worse?",
        ("slices",),
        ("slices-damage", "slices-groups"),
        "python benchmarks/quality.py",
    ),
    (
        "Other hashing methods",
        "How do the methods of the literature do on the same photos?",
        ("compare",),
        ("compare",),
        "python -m daah compare",
    ),
    (
        "Speed",
        "How long does a face take?",
        ("bench",),
        ("bench",),
        "python -m daah bench",
    ),
)

#: What stands for each figure where it cannot be seen.
_ALT = {
    "accuracy": "mAP by code length, with peers where they were measured",
    "precision-recall": "Precision and recall by code length",
    "retrieval": "Searches that went well and some that did not",
    "roc": "True accept rate by false accept rate, for each code length",
    "distances": "Distances of pairs of one person and of two people, with the limit",
    "reliability": "Stated probability against how often it was true",
    "unknown-people": "Strangers given a name against known people missed",
    "attention": "Change of the code as the most attended pixels are removed or restored",
    "slices-damage": "Accuracy by size, blur and rotation of the face",
    "slices-groups": "Accuracy by measured properties of the photo",
    "compare": "Accuracy of the methods by code length",
    "bench": "Time and memory against peers",
}


def sections(encoder: FaceEncoder, folder: Path = RESULTS) -> list[Section]:
    """Everything that is known of a checkpoint, question by question."""
    files = sorted(folder.glob("*.json"))
    foreign = {
        prefix
        for path in files
        for kind, prefix in [_named(path, READERS)]
        if _made_by_another(_read(path), encoder.fingerprint)
    }
    found = []
    for title, question, kinds, names, missing in _QUESTIONS:
        tables: list[Table] = []
        if "calibration" in kinds and encoder.calibration:
            tables.append(calibration(encoder.calibration))
        for kind in kinds:
            for path in files:
                named, prefix = _named(path, READERS)
                if named == kind and prefix not in foreign:
                    tables += READERS[kind](path.name, _read(path))
        pictures = []
        for path in sorted([*folder.glob("*.png"), *folder.glob("*.svg")]):
            named, prefix = _named(path, _ALT)
            if named in names and prefix not in foreign:
                pictures.append(Picture(path, f"{_ALT[named]}{_of(prefix)}"))
        found.append(Section(title, question, tuple(tables), tuple(pictures), missing))
    return found


def about_checkpoint(encoder: FaceEncoder) -> Table:
    """What the checkpoint says of itself."""
    facts = [
        ("Name", encoder.name),
        ("Recipe", encoder.recipe),
        ("Fingerprint", encoder.fingerprint[:16]),
        ("Code lengths", ", ".join(str(n) for n in encoder.lengths)),
    ]
    for heading in ("metrics", "training"):
        for key, value in _flat(encoder.card.get(heading) or {}):
            facts.append((f"{heading.capitalize()}: {key}", value))
    return Table(("", ""), tuple(facts), source="the checkpoint's own card")


def _named(path: Path, known: Collection[str]) -> tuple[str, str]:
    """A file's name as what it is about and the prefix of the photos it is of ("orl-", or "")."""
    for kind in sorted(known, key=len, reverse=True):
        if path.stem == kind or path.stem.startswith(f"{kind}-"):
            return kind, ""
        if path.stem.endswith(f"-{kind}"):
            return kind, path.stem.removesuffix(kind)
    return "", path.stem


def _of(prefix: str) -> str:
    return f" ({prefix.strip('-').upper()})" if prefix else ""


def _read(path: Path) -> dict[str, Any]:
    """A report; an empty one where there is none, or while somebody is writing it."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def _made_by_another(report: Mapping[str, Any], fingerprint: str) -> bool:
    checkpoint = report.get("checkpoint")
    if not isinstance(checkpoint, dict) or "sha256" not in checkpoint:
        return False
    return checkpoint["sha256"] != fingerprint


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested plain values as (path, text); long lists are left to the card itself."""
    rows = []
    for key, value in values.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            rows += _flat(value, f"{name}, ")
        elif isinstance(value, float):
            rows.append((name, f"{value:.4g}"))
        elif isinstance(value, list | tuple):
            if len(value) <= 8:
                rows.append((name, ", ".join(str(v) for v in value)))
        else:
            rows.append((name, str(value)))
    return rows
