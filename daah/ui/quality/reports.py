"""Reads what was measured: the checkpoints' own cards and the reports in docs/results.

Reports and figures of one run share the prefix of their names ("orl-attention.json"), and one of
them, the run's own, names the checkpoint. Where that one is not served here, nothing of the run is
shown as if it were about one that is. Nothing here computes a figure.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daah.models.encoder import FaceEncoder
from daah.paths import PATHS
from daah.ui.quality.tables import READERS, Table, calibration, markdown_tables, plain

RESULTS = PATHS.results

#: A report larger than this is not one of ours.
_LARGEST = 20 * 2**20


@dataclass(frozen=True)
class Picture:
    """A committed figure: its file and the words that stand for it. wide: needs the whole width."""

    path: Path
    alt: str
    wide: bool = False


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
        "How often is the right person found?",
        ("open-set", "peers", "closed-set"),
        ("accuracy", "precision-recall", "retrieval"),
        "python -m benchmarks.quality",
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
        ("identification",),
        ("identification",),
        "python -m benchmarks.quality",
    ),
    (
        "Other codes of the same size",
        "What would the same bytes find in another form?",
        ("equal-bytes",),
        (),
        "python -m benchmarks.equal_bytes",
    ),
    (
        "Faces without names",
        "Are photos of one person found among photos without names?",
        ("clustering",),
        (),
        "python -m benchmarks.clustering",
    ),
    (
        "Can the heatmap be trusted?",
        "Does hiding what the model looks at change the code more than hiding anything else?",
        ("attention", "planted-regions"),
        ("masks", "attention-masks", "attention"),
        "python -m daah evaluate-attention",
    ),
    (
        "Small, blurred, turned and covered faces",
        "What makes it worse?",
        ("slices", "face-quality"),
        ("slices-damage", "slices-groups", "face-quality"),
        "python -m benchmarks.quality",
    ),
    (
        "What your code gives away",
        "What can be made of a stolen gallery, and what does a key change?",
        ("inversion", "protection"),
        ("inversion", "protection"),
        "python -m benchmarks.code_inversion",
    ),
    (
        "Other hashing methods",
        "How do the methods of the literature do on the same photos? The Methods tab has more.",
        ("compare",),
        ("compare-map",),
        "python -m daah compare",
    ),
    (
        "Speed",
        "How long does it take?",
        ("bench", "detection", "live", "start-up", "command-line", "interaction"),
        ("bench",),
        "python -m daah bench",
    ),
)

#: The section of reports that answer none of the questions: for developers, not for the page.
MORE = "More measurements"

#: The report that says of which checkpoint everything of its run is.
_RUN = "open-set"

#: Reports that name no checkpoint because their run's own does.
_OF_A_RUN = ("identification", "attention", "slices")

#: Code length of figures that show one length only, as `benchmarks.quality` draws them.
FIGURE_BITS = 64

#: What stands for each figure where it cannot be seen.
_ALT = {
    "accuracy": "mAP by code length, with baselines where they were measured",
    "precision-recall": "Precision and recall by code length",
    "retrieval": f"Good and bad searches at {FIGURE_BITS} bits",
    "roc": "True accept rate by false accept rate, for each code length",
    "distances": (
        f"Distances at {FIGURE_BITS} bits of pairs of one person and of two people, with the limit"
    ),
    "reliability": "Reliability diagram: predicted probability against observed frequency",
    "identification": (
        "Strangers given a name (FPIR) against enrolled people missed (FNIR), by code length and "
        "by people enrolled; dots are what this page decides"
    ),
    "masks": "Masks of the paper's network and of the demo's, side by side on the same faces",
    "attention-masks": "Masks of the paper's network and of the demo's, side by side",
    "attention": "Change of the code as the most attended pixels are removed or restored",
    "slices-damage": f"Accuracy at {FIGURE_BITS} bits by size, blur and rotation of the face",
    "slices-groups": f"Accuracy at {FIGURE_BITS} bits by measured properties of the photo",
    "face-quality": "Failed searches by the share discarded for low quality; success by score",
    "inversion": "Portraits, and what a decoder rebuilds of their codes, with and without a key",
    "protection": "Distances across galleries of one person and of two, with and without keys",
    "compare-map": "mAP of each method by code length",
    "compare-precision-recall": "Precision and recall of each method at the longest code",
    "compare-precision-at-k": "Share of right faces among the first k, for each method",
    "bench": "Time and memory next to baselines",
    "learning": "Losses and validation figures of a training run, by epoch",
    "stores": "Time of a search by the number of faces in the gallery",
}


#: Figures made of many small pictures.
_WIDE = ("masks", "attention-masks", "retrieval", "inversion", "protection", "identification")


@dataclass(frozen=True)
class _Report:
    """A report's file, what it is about, the prefix of its run, and what it holds."""

    path: Path
    kind: str
    prefix: str
    values: Mapping[str, Any]

    @property
    def checkpoint(self) -> str:
        """The sha256 of the checkpoint that it names, "" where it names none."""
        named = self.values.get("checkpoint")
        return str(named.get("sha256", "")) if isinstance(named, dict) else ""


def sections(encoders: Sequence[FaceEncoder], folder: Path = RESULTS) -> list[Section]:
    """Everything that is known of the checkpoints that are served, question by question.

    encoders: the shipped one first. Reports of no kind that is known stand at the end.
    """
    shipped = encoders[0]
    reports = [
        _Report(path, *_named(path, READERS), read_report(path)) for path in _files(folder, "json")
    ]
    names = {encoder.fingerprint: encoder.name for encoder in encoders}
    owners = {
        report.prefix: names.get(report.checkpoint)
        for report in reports
        if report.kind == _RUN and report.checkpoint
    }

    def owner(report: _Report) -> str | None:
        """Whose a report is: a model's name, "" of none in particular, None of a foreign one."""
        if report.checkpoint:
            return names.get(report.checkpoint)
        return owners.get(report.prefix, "") if report.kind in _OF_A_RUN else ""

    found = []
    for title, question, kinds, figures, missing in _QUESTIONS:
        tables: list[Table] = []
        if "calibration" in kinds and shipped.calibration:
            tables.append(calibration(shipped.calibration))
        if "compare" in kinds:
            tables += _comparison_tables(folder)[:1]
        for kind in kinds:
            for report in reports:
                whose = owner(report)
                if report.kind == kind and whose is not None:
                    read = READERS[kind](report.path.name, report.values)
                    tables += [_of_model(table, whose, shipped.name) for table in read]
        pictures = _pictures(folder, figures, owners)
        found.append(Section(title, question, tuple(tables), pictures, missing))
    unknown = [
        table
        for report in reports
        if not report.kind and not report.path.stem.startswith("compare")
        if owner(report) is not None
        for table in plain(report.path.name, report.values)
    ]
    asked = {figure for *_, figures, _ in _QUESTIONS for figure in figures}
    pictures = tuple(
        Picture(path, _ALT.get(kind) or path.stem.replace("-", " ").capitalize())
        for path in _figures(folder)
        for kind in [_named(path, _ALT)[0]]
        if kind not in asked and not kind.startswith("compare")
    )
    if unknown or pictures:
        words = "What else was measured?"
        found.append(Section(MORE, words, tuple(unknown), pictures, ""))
    return found


def state(folder: Path = RESULTS) -> list[tuple[str, int, int]]:
    """Names, times and sizes of all that is shown: what was drawn of it before still is right."""
    shown = [path for ending in ("json", "md", "png", "svg") for path in _files(folder, ending)]
    known = [(path.name, path.stat()) for path in shown]
    return [(name, status.st_mtime_ns, status.st_size) for name, status in known]


def comparison(folder: Path = RESULTS) -> Section:
    """All that the comparison of hashing methods wrote: its tables and its curves."""
    figures = ("compare-map", "compare-precision-recall", "compare-precision-at-k")
    return Section(
        "Measured: every method on the same photos",
        "One trunk, one budget, one split for all; the project's comparison document has the "
        "protocol and the deviations from each paper. mAP over the whole ranking at the code "
        "length of each column, on the training people; mean ± standard deviation, number of "
        "seeds. The small models above are from other training runs, so their figures differ.",
        tuple(_comparison_tables(folder)),
        _pictures(folder, figures, {}),
        "python -m daah compare",
    )


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
    return Table(("", ""), tuple(facts), source=f"the card of checkpoint {encoder.name}")


def _comparison_tables(folder: Path) -> list[Table]:
    path = folder / "compare.md"
    try:
        if path.stat().st_size > _LARGEST:
            return []
        return markdown_tables(path.name, path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _pictures(
    folder: Path, figures: Collection[str], owners: Mapping[str, str | None]
) -> tuple[Picture, ...]:
    found = []
    for path in _figures(folder):
        named, prefix = _named(path, _ALT)
        if named in figures and owners.get(prefix, "") is not None:
            order = tuple(figures).index(named), prefix  # those of a prefix after the main ones
            words = f"{_ALT[named]}{_of(prefix)}"
            found.append((order, Picture(path, words, wide=named in _WIDE)))
    return tuple(picture for _, picture in sorted(found, key=lambda item: item[0]))


def _figures(folder: Path) -> list[Path]:
    return sorted(_files(folder, "png") + _files(folder, "svg"))


def _files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*.{ending}"))


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


def _of_model(table: Table, owner: str, shipped: str) -> Table:
    """The table, told to be of another model than the page's own where it is."""
    if owner in ("", shipped):
        return table
    title = f"{table.title}, model {owner}" if table.title else f"Model {owner}"
    return replace(table, title=title)


def read_report(path: Path) -> dict[str, Any]:
    """A report; an empty one where there is none, or while somebody is writing it."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


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
