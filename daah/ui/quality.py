"""Reads what was measured: the checkpoint's own card and the reports in docs/results.

A report is told by what is in it, not by its name. One about another checkpoint is not shown as
if it were about this one. Nothing here computes a figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daah.models.encoder import FaceEncoder

RESULTS = Path(__file__).resolve().parent.parent.parent / "docs" / "results"

#: A report larger than this is not one of ours.
_LARGEST = 20 * 2**20


@dataclass(frozen=True)
class Table:
    """Rows of text under column names. note: what stands below. source: where it was read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    source: str = ""


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


def sections(encoder: FaceEncoder, folder: Path = RESULTS) -> list[Section]:
    """Everything that is known of a checkpoint, question by question."""
    reports = list(_reports(folder, encoder.fingerprint))
    of = {kind: [(n, r) for n, r in reports if _kind(r) == kind] for kind in _KINDS}
    figures = sorted([*folder.glob("*.svg"), *folder.glob("*.png")])
    return [
        Section(
            "Accuracy by code length",
            "How often is the right person found, among people whom training never saw?",
            tuple(_open_set(name, report) for name, report in of["open-set"]),
            _pictures(figures, ("length", "accuracy")),
            "python -m daah evaluate",
        ),
        Section(
            "The limit for the same person",
            "How sure is a verdict, and how often would it be wrong?",
            (_calibration(encoder),) if encoder.calibration else (),
            _pictures(figures, ("roc", "histogram", "distance", "reliab", "calibration")),
            "a calibrated checkpoint",
        ),
        Section(
            "People who are not in the gallery",
            "How often does a stranger get a name?",
            tuple(_unknown(name, report) for name, report in of["unknown-people"]),
            _pictures(figures, ("unknown", "identification", "stranger")),
            "the unknown-people report",
        ),
        Section(
            "Can the heatmap be trusted?",
            "Does hiding what the model looks at change the code more than hiding anything else?",
            tuple(_attention(name, report) for name, report in of["attention"]),
            _pictures(figures, ("attention", "deletion", "insertion", "fidelity", "mask")),
            "python -m daah evaluate-attention",
        ),
        Section(
            "Small, blurred, turned and covered faces",
            "What makes it worse?",
            tuple(t for name, report in of["slices"] for t in _slices(name, report)),
            _pictures(figures, ("slice", "damage", "condition")),
            "the slices report",
        ),
        Section(
            "Other hashing methods",
            "How do the methods of the literature do on the same photos?",
            tuple(_compare(name, report) for name, report in of["compare"]),
            _pictures(figures, ("compare", "method", "baseline", "closed")),
            "python -m daah compare",
        ),
        Section(
            "Speed",
            "How long does a face take?",
            tuple(_bench(name, report) for name, report in of["bench"]),
            _pictures(figures, ("bench", "speed", "latency")),
            "python -m daah bench",
        ),
    ]


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


_KINDS = ("open-set", "unknown-people", "attention", "slices", "compare", "bench")


def _kind(report: Mapping[str, Any]) -> str:
    protocol = str(report.get("protocol", ""))
    if protocol in _KINDS:
        return protocol
    if "deletion" in report and "inside_mass_ratio" in report:
        return "attention"
    rows = report.get("rows")
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        if "method" in rows[0]:
            return "compare"
        if "peer" in rows[0]:
            return "bench"
    if "slices" in report or "damages" in report or protocol == "slices":
        return "slices"
    return ""


def _reports(folder: Path, fingerprint: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size > _LARGEST:
            continue
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # somebody is writing it
        if not isinstance(report, dict):
            continue
        made_by = report.get("checkpoint")
        sha = made_by.get("sha256") if isinstance(made_by, dict) else None
        if sha in (None, fingerprint):
            found.append((path.name, report))
    return found


def _pictures(figures: Sequence[Path], words: Sequence[str]) -> tuple[Picture, ...]:
    return tuple(
        Picture(path, path.stem.replace("-", " ").replace("_", " ").capitalize())
        for path in figures
        if any(word in path.stem.lower() for word in words)
    )


def _open_set(name: str, report: Mapping[str, Any]) -> Table:
    def row(r: Mapping[str, Any]) -> tuple[str, ...]:
        low, high = r.get("map_ci95") or (None, None)
        span = f" ({_share(low)} to {_share(high)})" if low is not None else ""
        return (
            str(r.get("bits", "")),
            "yes" if r.get("rerank") else "no",
            _share(r.get("map")) + span,
            _share(r.get("rank1")),
            _share(r.get("tar_at_far_1e-2")),
            _share(r.get("tar_at_far_1e-3")),
        )

    who = report.get("checkpoint") or {}
    label = f"{who.get('name', '')}, " if isinstance(who, dict) and who.get("name") else ""
    return Table(
        ("Bits", "Re-ranked", "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3"),
        tuple(row(r) for r in report.get("results", []) if isinstance(r, dict)),
        f"{label}{report.get('queries', '?')} searches among {report.get('images', '?')} photos of "
        f"{report.get('people', '?')} people. Re-ranked: ties are put in order by how sure each "
        "bit of the query is. TAR: share of same-person pairs accepted when FAR of different "
        "people are.",
        name,
    )


def _calibration(encoder: FaceEncoder) -> Table:
    fitted = encoder.calibration
    assert fitted is not None
    rows = []
    for bits in fitted.lengths:
        one = fitted.by_bits[bits]
        rows.append(
            (
                str(bits),
                str(one.threshold),
                _share(one.tar),
                _share(one.far),
                f"{one.genuine:,}",
                f"{one.impostor:,}",
            )
        )
    return Table(
        (
            "Bits",
            "Limit",
            "Same person accepted",
            "Strangers accepted",
            "Same pairs",
            "Other pairs",
        ),
        tuple(rows),
        "Limits are fitted on validation people, so that at most "
        f"{fitted.target_far:g} of the pairs of different people pass.",
        "the checkpoint's calibration",
    )


def _unknown(name: str, report: Mapping[str, Any]) -> Table:
    return Table(
        ("Bits", "Strangers given a name", "Known people missed", "Calibration error"),
        (
            (
                str(report.get("bits", "")),
                _share(report.get("fpir")),
                _share(report.get("fnir")),
                _share(report.get("calibration_error_held_out", report.get("calibration_error"))),
            ),
        ),
        f"{report.get('enrolled', '?')} people enrolled, {report.get('strangers', '?')} strangers, "
        "at the shipped limit.",
        name,
    )


def _attention(name: str, report: Mapping[str, Any]) -> Table:
    def row(label: str, key: str) -> tuple[str, ...]:
        return (
            label,
            *(_number(report.get(f"{key}{end}")) for end in ("", "_random", "_gaussian")),
        )

    return Table(
        ("", "By the heatmap", "Random order", "Centre first"),
        (
            row("Code changed while the most attended is removed (more is better)", "deletion"),
            row("Code still wrong while it alone is shown (less is better)", "insertion"),
        ),
        f"Attention inside the face: {_number(report.get('inside_mass_ratio'))} times its share of "
        f"pixels. Spread within a mask {_number(report.get('mask_spread_within'))}, between masks "
        f"{_number(report.get('mask_spread_between'))}. mAP with the mask "
        f"{_share(report.get('map_with_mask'))}, without {_share(report.get('map_without_mask'))}.",
        name,
    )


def _slices(name: str, report: Mapping[str, Any]) -> list[Table]:
    rows = report.get("slices") or report.get("damages") or report.get("results") or []
    kept = [r for r in rows if isinstance(r, dict)]
    return (
        [
            Table(
                ("Condition", "mAP", "Rank 1"),
                tuple(
                    (
                        " ".join(
                            str(r[k]) for k in ("kind", "name", "value") if r.get(k) is not None
                        ),
                        _share(r.get("map")),
                        _share(r.get("rank1")),
                    )
                    for r in kept
                ),
                source=name,
            )
        ]
        if kept
        else []
    )


def _compare(name: str, report: Mapping[str, Any]) -> Table:
    return Table(
        ("Method", "Bits", "Seed", "mAP", "Precision in radius 2"),
        tuple(
            (
                str(r.get("method", "")),
                str(r.get("bits", "")),
                str(r.get("seed", "")),
                _share(r.get("map")),
                _share(r.get("precision_radius2")),
            )
            for r in report["rows"]
        ),
        f"{report.get('data', '')}",
        name,
    )


def _bench(name: str, report: Mapping[str, Any]) -> Table:
    machine = report.get("machine") or {}
    return Table(
        ("What", "This project", "Peer", ""),
        tuple(
            (
                str(r.get("what", "")),
                f"{_number(r.get('ours'))} {r.get('unit', '')}",
                f"{_number(r.get('peer'))} {r.get('unit', '')}",
                str(r.get("peer_name", "")),
            )
            for r in report["rows"]
        ),
        ", ".join(f"{k}: {v}" for k, v in machine.items()) if isinstance(machine, dict) else "",
        name,
    )


def _share(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "–"


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
