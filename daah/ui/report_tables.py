"""Reports, as the project's commands write them, as tables of text. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daah.calibration import Calibration

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of text under column names. note: what stands below. source: where it was read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    source: str = ""


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
    rows = [
        (
            str(r.get("bits", "")),
            "yes" if r.get("rerank") else "no",
            _interval(r, "map"),
            _share(r.get("rank1")),
            _share(r.get("tar_at_far_1e-2")),
            _share(r.get("tar_at_far_1e-3")),
        )
        for r in _rows(report, "results")
    ]
    note = (
        f"{_data(report)}{report.get('queries', '?')} searches among {report.get('images', '?')} "
        f"photos of {report.get('people', '?')} people. Re-ranked: ties are put in order by how "
        "sure each bit of the query is. TAR: share of pairs of one person accepted, where that "
        "share of pairs of two people is."
    )
    columns = ("Bits", "Re-ranked", "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3")
    return [Table(columns, tuple(rows), note, name)] if rows else []


def _peers(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("representation", "")),
            str(r.get("bytes", "")),
            _interval(r, "map"),
            _share(r.get("rank1")),
            _share(r.get("tar_at_far_1e-2")),
            _share(r.get("tar_at_far_1e-3")),
        )
        for r in _rows(report, "rows")
    ]
    columns = ("Peer", "Bytes", "mAP (95%)", "Rank 1", "TAR at FAR 1e-2", "TAR at FAR 1e-3")
    return [Table(columns, tuple(rows), _data(report), name)] if rows else []


def _unknown(name: str, report: Report) -> list[Table]:
    found = _rows(report, "lengths") or ([report] if "fpir" in report else [])
    rows = [
        (
            str(r.get("bits", "")),
            str(r.get("threshold", "")),
            _share(r.get("fpir")),
            _share(r.get("fnir")),
            _share(r.get("calibration_error_held_out", r.get("calibration_error"))),
        )
        for r in found
    ]
    if not rows:
        return []
    note = (
        f"{_data(report)}{found[0].get('enrolled', '?')} people enrolled, "
        f"{found[0].get('strangers', '?')} strangers, at the shipped limit."
    )
    columns = ("Bits", "Limit", "Strangers given a name", "Known people missed")
    return [Table((*columns, "Error of the stated probability"), tuple(rows), note, name)]


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
        f"{_number(report.get('mask_spread_between'))}. mAP with the mask "
        f"{_share(report.get('map_with_mask'))}, without it "
        f"{_share(report.get('map_without_mask'))}."
    )
    rows = (
        row("Code changed while the most attended is removed (more is better)", "deletion"),
        row("Code still different while it alone is shown (less is better)", "insertion"),
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
        columns = ("Damage to the query", "mAP (95%)", "Rank 1 (95%)", "TAR at FAR 1e-3")
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


def _compare(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("method", "")),
            str(r.get("bits", "")),
            str(r.get("seed", "")),
            _share(r.get("map")),
            _share(r.get("precision_radius2")),
        )
        for r in _rows(report, "rows")
    ]
    columns = ("Method", "Bits", "Seed", "mAP", "Precision in radius 2")
    return [Table(columns, tuple(rows), _data(report), name)] if rows else []


def _bench(name: str, report: Report) -> list[Table]:
    rows = [
        (
            str(r.get("what", "")),
            f"{_number(r.get('ours'))} {r.get('unit', '')}",
            f"{_number(r.get('peer'))} {r.get('unit', '')}",
            str(r.get("peer_name", "")),
        )
        for r in _rows(report, "rows")
    ]
    machine = report.get("machine")
    note = ", ".join(f"{k}: {v}" for k, v in machine.items()) if isinstance(machine, dict) else ""
    return [Table(("What", "This project", "Peer", ""), tuple(rows), note, name)] if rows else []


#: How each kind of report is read, by the end of its file's name.
READERS: dict[str, Callable[[str, Report], list[Table]]] = {
    "open-set": _open_set,
    "peers": _peers,
    "unknown-people": _unknown,
    "attention": _attention,
    "slices": _slices,
    "compare": _compare,
    "bench": _bench,
}


def _rows(report: Report, key: str) -> list[Report]:
    rows = report.get(key)
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _data(report: Report) -> str:
    return f"{report['data']}. " if isinstance(report.get("data"), str) and report["data"] else ""


def _interval(row: Report, key: str) -> str:
    span = row.get(f"{key}_ci95")
    if isinstance(span, list | tuple) and len(span) == 2:
        return f"{_share(row.get(key))} ({_share(span[0])} to {_share(span[1])})"
    return _share(row.get(key))


def _share(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "–"
