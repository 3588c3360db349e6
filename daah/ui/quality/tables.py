"""Reports, as the project's commands write them, as tables of text. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from daah.evaluation.attention import MAP_BITS
from daah.metrics.leave_one_out import RERANKED
from daah.models.calibration import Calibration

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of text under column names.

    note: what stands below. source: where it was read. title: what stands above.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    source: str = ""
    title: str = ""


#: Kinds of planted regions, and all of them.
_PLANTED = ("eyes", "nose", "mouth", "blob", "all")

#: Rows and columns of a report whose kind is not known, at most.
_MOST_ROWS, _MOST_COLUMNS = 60, 10


def calibration(fitted: Calibration) -> Table:
    """The limits that a checkpoint ships with."""
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
    columns = ("Bits", "Limit", "Same person accepted", "Strangers accepted")
    return Table(
        (*columns, "Pairs of one person", "Pairs of two"),
        tuple(rows),
        "Limits are fitted on validation people, so that at most "
        f"{fitted.target_far:g} of the pairs of different people pass.",
        "the checkpoint's calibration",
    )


def _open_set(name: str, report: Report) -> list[Table]:
    """Hamming distance, and the same searches with the query's logits in a table of their own."""
    note = (
        f"{_data(report)}{_count(report, 'queries')} leave-one-out searches among "
        f"{_count(report, 'images')} photos of {_count(report, 'people')} people who are not in "
        "the training set, by Hamming distance. TAR at FAR: share of same-person pairs accepted "
        "when that share of different-person pairs is."
    )
    finer = (
        "Asymmetric: the query's logits, divided by their norm, against stored bits. Re-ranked: "
        f"the nearest {RERANKED} by Hamming distance are re-ordered by the query's logits."
    )
    found = _rows(report, "results")
    plain = [r for r in found if _way(r) == "hamming"]
    others = [r for r in found if _way(r) != "hamming"]
    tables = []
    if plain:
        columns = ("Bits", "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3")
        rows = tuple((str(r.get("bits", "")), *_scores(r)) for r in plain)
        tables.append(Table(columns, rows, note, name))
    if others:
        columns = ("Bits", "Distance", "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3")
        rows = tuple((str(r.get("bits", "")), _way(r), *_scores(r)) for r in others)
        tables.append(Table(columns, rows, finer, name, "With the query's logits"))
    return tables


def _way(row: Report) -> str:
    """How a row of protocol 1 compares: "hamming", "asymmetric" or "re-ranked"."""
    return "re-ranked" if row.get("rerank") else _text(row.get("distance", "hamming"))


def _scores(row: Report) -> tuple[str, ...]:
    return (
        _interval(row, "map"),
        _share(row.get("rank1")),
        _share(row.get("tar_at_far_1e-2")),
        _share(row.get("tar_at_far_1e-3")),
    )


def _peers(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("representation", "")),
            str(r.get("bytes", "")),
            str(r.get("bits") or ""),
            "yes" if r.get("rerank") else "no",
            _interval(r, "map"),
            _share(r.get("rank1")),
            _share(r.get("tar_at_far_1e-2")),
            _share(r.get("tar_at_far_1e-3")),
        )
        for r in _rows(report, "rows")
    ]
    columns = ("Peer", "Bytes", "Bits", "Re-ranked")
    columns = (*columns, "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3")
    note = (
        f"{_data(report)}The same searches as above, with baselines of the same number of bytes "
        "per face."
    )
    return [Table(columns, tuple(rows), note, name)] if rows else []


def _identification(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("bits", "")),
            *(_share(_rates(r).get(level)) for level in ("0.1", "0.01", "0.003")),
            _share(r.get("rank1_miss")),
            _number(r.get("threshold")),
            _share(r.get("fpir")),
            _share(r.get("fnir")),
        )
        for r in _rows(report, "results")
        if r.get("distance") == "hamming" and r.get("template") == "one"
    ]
    if not rows:
        return []
    note = (
        f"{_data(report)}{_count(report, 'enrolled')} people enrolled by one photo, "
        f"{_count(report, 'mated')} searches for them and {_count(report, 'non_mated')} for "
        "strangers, by Hamming distance. FNIR: the share of searches for enrolled people that do "
        "not name them; FPIR: the share of searches for strangers that name somebody."
    )
    columns = ("Bits", "FNIR at FPIR 10%", "at 1%", "at 0.3%", "Another person nearest")
    columns = (*columns, "Limit of a match", "Its FPIR", "Its FNIR")
    tables = [Table(columns, tuple(rows), note, name)]
    tables += _by_people(name, report)
    return tables + _by_group(name, report)


def _by_people(name: str, report: Report) -> list[Table]:
    """Open-set identification at the longest code, by the number of people enrolled."""
    found = [
        r
        for r in _rows(report, "results")
        if r.get("distance") == "hamming" and r.get("template") == "one"
    ]
    longest = max(found, key=lambda r: r.get("bits", 0))
    sizes = longest.get("by_people")
    rows = tuple(
        (
            str(size),
            *(_rate_at(rates, level) for level in ("0.1", "0.01", "0.003")),
            _share(rates.get("rank1_miss")),
        )
        for size, rates in (sizes.items() if isinstance(sizes, dict) else ())
        if isinstance(rates, dict)
    )
    columns = ("People enrolled", "FNIR at FPIR 10% (95%)", "at 1%", "at 0.3%")
    note = f"{_count(longest, 'bits')} bits. Smaller galleries are random parts of the whole."
    title = "By the number of people"
    return [Table((*columns, "Another person nearest"), rows, note, name, title)] if rows else []


def _rate_at(row: Report, level: str) -> str:
    """FNIR at a rate, with its interval."""
    ends = row.get("fnir_ci95")
    return _interval(
        {"fnir": _rates(row).get(level), "fnir_ci95": ends.get(level)}
        if isinstance(ends, dict)
        else {"fnir": _rates(row).get(level)},
        "fnir",
    )


def _by_group(name: str, report: Report) -> list[Table]:
    """Error rates of groups of photos at the shipped thresholds."""
    rows = tuple(
        (
            f"{str(r.get('attribute', '')).replace('_', ' ')}, {r.get('group', '')}",
            _count(r, "photos"),
            *(_interval(r, key) for key in ("fmr", "fnmr", "fpir", "fnir")),
        )
        for r in _rows(report, "slices")
    )
    note = (
        f"{_count(report, 'slice_bits')} bits, 95% intervals in brackets. FMR: share of pairs of "
        "two people of the group that Compare accepts; FNMR: share of pairs of one person that it "
        "does not. FPIR and FNIR at the limit of a search, people enrolled by one photo."
    )
    columns = ("Photos with", "Photos", "FMR", "FNMR", "FPIR", "FNIR")
    return [Table(columns, rows, note, name, "By group of photos")] if rows else []


def _rates(row: Report) -> Report:
    rates = row.get("fnir_at_fpir")
    return rates if isinstance(rates, dict) else {}


def _attention(name: str, report: Report) -> list[Table]:
    def row(label: str, key: str) -> tuple[str, ...]:
        ends = ("", "_random", "_gaussian")
        return (label, *(_number(report.get(f"{key}{end}")) for end in ends))

    if "deletion" not in report:
        return []
    note = (
        f"{_data(report)}Attention inside the face: {_number(report.get('inside_mass_ratio'))} "
        "times its share of pixels (1 is no preference). Spread within a mask "
        f"{_number(report.get('mask_spread_within'))}, between masks "
        f"{_number(report.get('mask_spread_between'))}. mAP at {MAP_BITS} bits with the mask "
        f"{_share(report.get('map_with_mask'))}, without it "
        f"{_share(report.get('map_without_mask'))}."
    )
    rows = (
        row(
            "Deletion: change of the code without the attended pixels (higher is better)",
            "deletion",
        ),
        row("Insertion: change of the code with only these pixels (lower is better)", "insertion"),
    )
    return [Table(("", "By the heatmap", "Random order", "Middle first"), rows, note, name)]


def _slices(name: str, report: Report) -> list[Table]:
    bits = f"{report['bits']} bits. " if "bits" in report else ""
    tables = []
    damage = [
        (
            f"{r.get('kind', '')} {r.get('value', '')}".replace("_", " "),
            _interval(r, "map"),
            _interval(r, "rank1"),
            _share(r.get("tar")),
        )
        for r in _rows(report, "damage")
    ]
    if damage:
        columns = ("Corruption of the query", "mAP (95%)", "Rank 1 (95%)", "TAR at FAR 1e-3")
        tables.append(Table(columns, tuple(damage), f"{_data(report)}{bits}", name))
    groups = [
        (
            f"{str(r.get('attribute', '')).replace('_', ' ')}, {_number(r.get('low'))} to "
            f"{_number(r.get('high'))}",
            _interval(r, "map"),
            _interval(r, "tar"),
            _number(r.get("far")),
        )
        for r in _rows(report, "groups")
    ]
    if groups:
        columns = ("Photos with", "mAP (95%)", "TAR at one limit (95%)", "FAR at that limit")
        tables.append(Table(columns, tuple(groups), f"{_data(report)}{bits}", name))
    return tables


def _closed_set(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("bits", "")),
            _share(r.get("map")),
            _share(r.get("rank1")),
            _share(r.get("precision_radius2")),
        )
        for r in _rows(report, "results")
    ]
    note = (
        f"{_data(report)}{_count(report, 'queries')} other photos of the "
        f"{_count(report, 'people')} training people, searched among "
        f"{_count(report, 'database')}."
    )
    columns = ("Bits", "mAP", "Rank 1", "Precision within 2 bits")
    return [Table(columns, tuple(rows), note, name, "Training people")] if rows else []


def _bench(name: str, report: Report) -> list[Table]:
    rows = [
        (
            _of_length(r),
            f"{_number(r.get('ours'))} {r.get('unit', '')}",
            f"{_number(r.get('peer'))} {r.get('unit', '')}",
            str(r.get("peer_name", "")),
        )
        for r in _rows(report, "rows")
    ]
    columns = ("What", "This project", "Peer", "")
    return [Table(columns, tuple(rows), _machine(report), name)] if rows else []


def _of_length(row: Report) -> str:
    """What a row of the benchmark measured; of a code's bytes, also of how many bits."""
    what = str(row.get("what", ""))
    if what == "stored per face" and isinstance(row.get("ours"), int | float):
        return f"{what}, code of {8 * row['ours']:.0f} bits"
    return what


def _detection(name: str, report: Report) -> list[Table]:
    speed, recall = report.get("speed"), report.get("recall")
    if not isinstance(speed, dict) or not isinstance(recall, dict):
        return []

    def pair(label: str, ours: str, peer: str) -> tuple[str, ...]:
        both = [speed.get(key) for key in (ours, peer)]
        return (label, *(_milliseconds(times) for times in both))

    rows = [
        pair(f"Faces of a {report.get('photo', '')} photo", "detect", "package_detect"),
        pair("The same, from the uploaded file on", "read_and_detect", "package_detect"),
        pair("The same, to the whole result on the screen", "full_result", "package_detect"),
        pair("Faces of a 640x480 frame", "detect_640x480", "package_detect_640x480"),
    ]
    note = (
        f"{_data(report)}Medians of alternating calls, {report.get('threads', '?')} thread(s). On "
        f"composed photos {recall.get('package_faces_found', '?')} of the "
        f"{recall.get('found_by_package', '?')} faces that the peer finds are found too, at least "
        "half of each box shared."
    )
    columns = ("What", "This project", "facenet-pytorch's MTCNN")
    shown = tuple(row for row in rows if row[1] != "–")
    return [Table(columns, shown, note, name, "Finding faces")]


def _measured(name: str, report: Report) -> list[Table]:
    rows = [
        (str(r.get("what", "")), f"{_number(r.get('value'))} {r.get('unit', '')}".strip(),
         str(r.get("promise", "")))
        for r in _rows(report, "rows")
    ]  # fmt: skip
    if not rows:
        return []
    note = f"{_data(report)}{_machine(report)}"
    columns = ("What", "Measured", "Promised")
    return [Table(columns, tuple(rows), note, name, str(report.get("title", "")))]


def plain(name: str, report: Report) -> list[Table]:
    """A report of any other kind: its facts, and each of its lists of rows, as far as they fit."""
    tables = []
    facts = _facts(report)
    if facts:
        tables.append(Table(("", ""), tuple(facts[:_MOST_ROWS]), "", name, name))
    for key, value in report.items():
        found = _rows(report, key) if isinstance(value, list) else []
        columns = tuple(dict.fromkeys(
            c for row in found for c, cell in row.items() if not isinstance(cell, dict | list)
        ))[:_MOST_COLUMNS]  # fmt: skip
        if columns:
            cells = tuple(tuple(_text(r.get(c)) for c in columns) for r in found[:_MOST_ROWS])
            heads = tuple(c.replace("_", " ") for c in columns)
            tables.append(Table(heads, cells, "", name, key.replace("_", " ")))
    return tables


def markdown_tables(name: str, text: str) -> list[Table]:
    """The tables of a Markdown report, each under the heading that stands above it."""
    tables: list[Table] = []
    title, rows = "", []

    def finish() -> None:
        if len(rows) > 1:
            tables.append(Table(rows[0], tuple(rows[2:]), "", name, title))
        rows.clear()

    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line.strip().strip("|").split("|")))
            continue
        finish()
        if line.startswith("#"):
            title = line.lstrip("#").strip()
    return tables


def _face_quality(name: str, report: Report) -> list[Table]:
    """Rates of faces by what makes them hard, and how many are found by their score."""
    shown = [r for r in _rows(report, "rates") if r.get("bits") == report.get("bits")]
    rates = tuple(
        (
            str(r.get("faces", "")),
            _count(r, "searches"),
            *(_share(r.get(key)) for key in ("fpir", "fpir_own_limit", "fnir", "fnir_own_limit")),
        )
        for r in shown
    )
    scores = tuple(
        (
            f"{_number(r.get('from'))} and more",
            _count(r, "searches"),
            _share(r.get("score")),
            _share(r.get("found")),
        )
        for r in _rows(report, "reliability")
    )
    note = (
        f"{_data(report)}{_count(report, 'bits')} bits, {_count(report, 'people')} people. Copies "
        "were made small, blurred or partly hidden. FPIR: share of strangers who get a match; "
        "FNIR: share of enrolled people who do not, or not first. A flaw's own limit is stricter "
        "where its FPIR is above 1%."
    )
    tables = []
    if rates:
        columns = ("Faces", "Searches", "FPIR", "at their limit", "FNIR", "at their limit, FNIR")
        tables.append(Table(columns, rates, note, name))
    if scores:
        columns = ("Quality score", "Searches", "Mean score", "Found")
        tables.append(Table(columns, scores, "", name))
    return tables


def _clustering(name: str, report: Report) -> list[Table]:
    rows = tuple(
        (
            _count(r, "bits"),
            _interval(r, "f"),
            _share(r.get("precision")),
            _share(r.get("recall")),
            _count(r, "radius"),
            _count(r, "clusters"),
            _count(r, "alone"),
        )
        for r in _rows(report, "results")
    )
    columns = (
        "Bits",
        "B-cubed F (95% interval)",
        "Precision",
        "Recall",
        "Neighbours differ in at most",
        "Clusters",
        "Faces alone",
    )
    note = (
        f"{_data(report)}{_count(report, 'images')} faces of {_count(report, 'people')} people, "
        "clustered without their names. Precision: how much of a face's cluster is the same "
        "person; recall: how much of the person is in the cluster."
    )
    return [Table(columns, rows, note, name)] if rows else []


#: Sources of rebuilt faces, as the report names them, and as the page does.
_HELD = (("code", "no key"), ("code", "key, unknown to the attacker"))


def _inversion(name: str, report: Report) -> list[Table]:
    others = {r.get("bits"): r for r in _rows(report, "another_photo")}
    attacks = {(r.get("from"), r.get("key"), r.get("bits")): r for r in _rows(report, "results")}
    rows = []
    for bits, other in others.items():
        cells = [_count(other, "bits")]
        for held in _HELD:
            found = attacks.get((*held, bits), {})
            cells += [_share(found.get("type1")), _share(found.get("type2"))]
        rows.append((*cells, _share(other.get("match")), _share(other.get("stranger"))))
    rebuilt = Table(
        (
            "Bits stolen",
            "Passes as the photo",
            "Passes as another photo",
            "The same with a key: the photo",
            "another photo",
            "For comparison: a real second photo",
            "a stranger",
        ),
        tuple(rows),
        f"{_data(report)}Faces rebuilt from the codes of {_count(report, 'attacked')} people "
        "by a small network, and compared again within the shipped threshold: with the photo whose "
        "code was stolen (attack of type I), and with another photo of the person (type II).",
        name,
    )
    properties = Table(
        ("Property", "Best single bit", "Median bit", "All 128 bits", "All 256 bits"),
        tuple(
            (
                str(r.get("property")),
                _share(r.get("auc_best_bit")),
                _share(r.get("auc_median_bit")),
                *(_share((r.get("auc_of_all") or {}).get(bits)) for bits in ("128", "256")),
            )
            for r in _rows(report, "properties")
        ),
        "Area under the ROC curve: 0.5 is a guess, 1 is always right. All bits: logistic "
        "regression, tested on other people than it was fitted on.",
        name,
    )
    return [table for table in (rebuilt, properties) if table.rows]


def _protection(name: str, report: Report) -> list[Table]:
    linked = report.get("unlinkability") or {}
    links = Table(
        ("Bits", "Same photo in both", "D_sys without keys", "with two keys", "both keys known"),
        tuple(
            (
                _count(r, "bits"),
                "yes" if r.get("same_photo") else "no",
                *(_share(r.get(f"{key}, codes")) for key in ("none", "keys", "keys known")),
            )
            for r in _rows(linked, "d_sys")
        ),
        f"{_data(report)}Can codes of two galleries be linked? D_sys (Gomez-Barrero et al., "
        "2018): 0 is never, 1 is always.",
        name,
    )
    cost = Table(
        ("Bits", "mAP without a key", "with a key", "with a general rotation instead"),
        tuple(
            (
                _count(r, "bits"),
                *(_share(r.get(key)) for key in ("map", "map_keyed", "map_rotated")),
            )
            for r in _rows(report, "accuracy")
        ),
        "What a key costs within a gallery.",
        name,
    )
    return [table for table in (links, cost) if table.rows]


def _planted_regions(name: str, report: Report) -> list[Table]:
    def mean(values: Any) -> str:
        if not isinstance(values, list) or len(values) != 3:
            return "–"
        return f"{_share(values[0])} ({_share(values[1])} to {_share(values[2])})"

    areas, located = report.get("auc"), report.get("located")
    if not isinstance(areas, dict) or not isinstance(located, dict):
        return []
    rows = tuple(
        (heatmap, *(mean(by_kind.get(kind)) for kind in _PLANTED), mean(located.get(heatmap)))
        for heatmap, by_kind in areas.items()
        if isinstance(by_kind, dict)
    )
    columns = ("Heatmap", *(f"AUC, {kind}" for kind in _PLANTED), "Right part of three")
    note = (
        f"{_data(report)}{_count(report, 'pairs')} pairs of people: one region of a face is "
        "replaced by the other person's. AUC: the chance that a pixel of that region is hotter "
        "than one elsewhere (0.5 is chance). Right part: of eyes, nose and mouth, the replaced one "
        "is the hottest (0.333 is chance). Brackets: 95% intervals."
    )
    return [Table(columns, rows, note, name, "A region of another person's face")]


def _equal_bytes(name: str, report: Report) -> list[Table]:
    """Our code beside other codes of as many bytes, smallest first, a table for each size."""

    def cells(row: Report, method: str) -> tuple[str, ...]:
        return (
            method,
            _text(row.get("fitted_on")),
            _text(row.get("distance")),
            _interval(row, "map"),
            _share(_rates(row).get("0.01")),
            _number(row.get("microseconds_per_comparison")),
            _number(row.get("times_hamming")),
        )

    found = _rows(report, "rows")
    ours = {r.get("bytes") for r in found if r.get("method") == "this project"}
    tables = [
        Table(
            _SAME_SIZE,
            tuple(cells(r, _text(r.get("method"))) for r in found if r.get("bytes") == size),
            "",
            name,
            f"{size} bytes per face",
        )
        for size in sorted(size for size in ours if isinstance(size, int))
    ]
    others = tuple(
        cells(r, f"{r.get('method')}, {r.get('bytes')} bytes")
        for r in found
        if r.get("bytes") not in ours
    )
    if others:
        tables.append(Table(_SAME_SIZE, others, "", name, "Larger, and of other sizes"))
    note = (
        f"{_data(report)}{_count(report, 'images')} photos of {_count(report, 'people')} people; "
        f"all codes fitted on {_count(report, 'fitted_images')} faces of other people. Symmetric: "
        "both faces are stored codes; asymmetric: the query keeps its numbers. Time per comparison "
        f"is that of a search among {_count(report, 'stored')} codes on one thread."
    )
    return [replace(table, note="" if i else note) for i, table in enumerate(tables)]


#: Columns of a table of codes of one size.
_SAME_SIZE = (
    "Code",
    "Made from",
    "Distance",
    "mAP (95%)",
    "FNIR at FPIR 1%",
    "Microseconds per comparison",
    "Times Hamming",
)


#: How each kind of report is read, by the end of its file's name.
READERS: dict[str, Callable[[str, Report], list[Table]]] = {
    "open-set": _open_set,
    "peers": _peers,
    "identification": _identification,
    "equal-bytes": _equal_bytes,
    "attention": _attention,
    "planted-regions": _planted_regions,
    "slices": _slices,
    "face-quality": _face_quality,
    "closed-set": _closed_set,
    "clustering": _clustering,
    "inversion": _inversion,
    "protection": _protection,
    "bench": _bench,
    "detection": _detection,
    "live": _measured,
    "start-up": _measured,
    "command-line": _measured,
    "interaction": _measured,
}


def _rows(report: Report, key: str) -> list[Report]:
    rows = report.get(key)
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _data(report: Report) -> str:
    return f"{report['data']}. " if isinstance(report.get("data"), str) and report["data"] else ""


def _count(report: Report, key: str) -> str:
    value = report.get(key)
    return f"{value:,}" if isinstance(value, int) else "?"


def _interval(row: Report, key: str) -> str:
    span = row.get(f"{key}_ci95")
    if isinstance(span, list | tuple) and len(span) == 2:
        return f"{_share(row.get(key))} ({_share(span[0])} to {_share(span[1])})"
    return _share(row.get(key))


def _share(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "–"


def _milliseconds(times: Any) -> str:
    """Wall clock and processor time of a call, as benchmarks write them."""
    if not isinstance(times, dict):
        return "–"
    return f"{_number(times.get('wall_ms'))} ms ({_number(times.get('processor_ms'))} ms of CPU)"


def _machine(report: Report) -> str:
    machine = report.get("machine")
    if isinstance(machine, dict):
        return ", ".join(f"{key}: {value}" for key, value in machine.items())
    return str(machine or "")


def _facts(report: Report, before: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in report.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            rows += _facts(value, f"{name}, ")
        elif not isinstance(value, list):
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
