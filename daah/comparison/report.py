"""Reports of a comparison: JSON, Markdown tables, figures, and the table of progress."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daah import plots
from daah.comparison.methods import METHODS
from daah.metrics import PrecisionRecall


def write_report(report: dict[str, Any], out: Path, figures: bool) -> None:
    """Write compare.json and compare.md, and optionally the curves as PNG.

    Args:
        report: of `run.collect`.
        out: output folder; it must exist.
        figures: whether figures are written.
    """
    rows = [{k: v for k, v in row.items() if k != "curve"} for row in report["rows"]]
    lean = report | {
        key: [{k: v for k, v in row.items() if k != "curve"} for row in report[key]]
        for key in ("features", "ablation")
    }
    text = json.dumps(lean | {"rows": rows}, indent=1)
    (out / "compare.json").write_text(text + "\n", encoding="utf-8")
    (out / "compare.md").write_text(markdown(report), encoding="utf-8")
    if figures and report["rows"]:
        for name, figure in draw(report).items():
            plots.save_figure(figure, out / f"compare-{name}.png")


def progress_table(report: dict[str, Any]) -> str:
    """Table of mAP of the finished rows, one line per method, for a terminal.

    Args:
        report: of `run.collect`.

    Returns:
        The table as text.
    """
    lengths = sorted({row["bits"] for row in report["rows"]})
    lines = ["method".ljust(18) + "".join(f"{b:>16} bits" for b in lengths)]
    for name in _names(report):
        cells = [_mean_spread(_figures(report["rows"], name, b, "map")) for b in lengths]
        lines.append(name.ljust(18) + "".join(f"{cell:>21}" for cell in cells))
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """The whole report as Markdown.

    Args:
        report: of `run.collect`.

    Returns:
        The Markdown text.
    """
    data = report["data"]
    parts = [
        "# Comparison of hashing methods",
        f"Protocol 2 (closed set) on {data['name']}: {data['people']} people, {data['database']}"
        f" database (= training) images, {data['queries']} queries, 32x32. mAP over the full"
        " Hamming ranking, averaged over ties; where there are several seeds, mean ± standard"
        " deviation and their number.",
        f"Command: `{report['command']}`" if report["command"] else "",
        "\n".join(_main_table(report)),
        "\n".join(_detail_table(report)),
    ]
    if report["features"]:
        parts.append("\n".join(_feature_table(report)))
    if report["ablation"]:
        parts.append("\n".join(_ablation_table(report)))
    if report["references"]:
        lines = ["## Floats, for reference", "", "| descriptor | mAP | rank-1 |", "|---|---|---|"]
        lines += [
            f"| {r['name']} | {r['map']:.3f} | {r['rank1']:.3f} |" for r in report["references"]
        ]
        parts.append("\n".join(lines))
    if report["tuning"]:
        parts.append("\n".join(_tuning_table(report)))
    if report["pending"]:
        parts.append(f"Not done yet: {len(report['pending'])} of the jobs.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _main_table(report: dict[str, Any]) -> list[str]:
    lengths = sorted({row["bits"] for row in report["rows"]})
    lines = ["## mAP", "", _header(["method", *(f"{b} bits" for b in lengths)])]
    for name in _names(report):
        cells = [_mean_spread(_figures(report["rows"], name, b, "map")) for b in lengths]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _detail_table(report: dict[str, Any]) -> list[str]:
    if not report["rows"]:
        return []
    longest = max(row["bits"] for row in report["rows"])
    columns = [
        "method",
        "precision within 2 bits",
        "precision at 1",
        "at 10",
        "at 50",
        "training, CPU s",
        "encoding, CPU ms a face",
    ]
    lines = [f"## At {longest} bits", "", _header(columns)]
    for name in _names(report):
        own = [r for r in report["rows"] if r["method"] == name and r["bits"] == longest]
        if not own:
            continue
        cells = [
            _mean_spread([r["precision_radius2"] for r in own]),
            *(_mean_spread([r["precision_at"][k] for r in own]) for k in ("1", "10", "50")),
            f"{np.mean([r['train_seconds'] for r in own]):.1f}",
            f"{np.mean([r['encode_ms'] for r in own]):.2f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if report["starts"]:
        spent = np.mean([s["train_seconds"] for s in report["starts"]])
        lines += ["", f"Deep methods start from a trunk that took {spent:.1f} CPU s more to train."]
    return lines


def _feature_table(report: dict[str, Any]) -> list[str]:
    lengths = sorted({row["bits"] for row in report["features"]})
    kinds = list(dict.fromkeys(row["feature"] for row in report["features"]))
    lines = [
        "## Shallow methods on other features, mAP",
        "",
        _header(["method", "feature", *(f"{b} bits" for b in lengths)]),
    ]
    for kind in kinds:
        rows = [row for row in report["features"] if row["feature"] == kind]
        for name in dict.fromkeys(row["method"] for row in rows):
            cells = [_mean_spread(_figures(rows, name, b, "map")) for b in lengths]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    return lines


def _ablation_table(report: dict[str, Any]) -> list[str]:
    bits = report["ablation"][0]["bits"]
    whole = _figures(report["rows"], "DDAH", bits, "map")
    near = _figures(report["rows"], "DDAH", bits, "precision_radius2")
    lines = [
        f"## Ablation of DDAH at {bits} bits",
        "",
        _header(["variant", "mAP", "precision within 2 bits"]),
        f"| as published (margin 0) | {_mean_spread(whole)} | {_mean_spread(near)} |",
    ]
    for variant in dict.fromkeys(row["variant"] for row in report["ablation"]):
        own = [row for row in report["ablation"] if row["variant"] == variant]
        figures = [[row[key] for row in own] for key in ("map", "precision_radius2")]
        lines.append(f"| {variant} | {' | '.join(map(_mean_spread, figures))} |")
    return lines


def _tuning_table(report: dict[str, Any]) -> list[str]:
    lines = [
        "## Tuning, on a held-back part of the training images",
        "",
        _header(["method", "settings", "mAP there"]),
    ]
    for row in report["tuning"]:
        settings = ", ".join(f"{k} {v:g}" for k, v in row["settings"].items())
        lines.append(f"| {row['method']} | {settings} | {row['map']:.3f} |")
    return lines


def draw(report: dict[str, Any]) -> dict[str, Any]:
    """Figures of a report: mAP by code length, and curves of all methods at the longest length.

    Args:
        report: of `run.collect`, with at least one row.

    Returns:
        Figures by name.
    """
    rows = report["rows"]
    longest = max(row["bits"] for row in rows)
    lengths = sorted({row["bits"] for row in rows})
    series: dict[str, plots.Series] = {}
    for name in _names(report):
        figures = {b: _figures(rows, name, b, "map") for b in lengths}
        figures = {b: v for b, v in figures.items() if v}
        series[name] = plots.Series(list(figures), [float(np.mean(v)) for v in figures.values()])
    deep = {n: s for n, s in series.items() if METHODS[n].kind == "deep"}
    shallow = {n: s for n, s in series.items() if n not in deep}
    curves, at = {}, {}
    for name in _names(report):
        first = [r for r in rows if r["method"] == name and r["bits"] == longest and r["seed"] == 0]
        if not first:
            continue
        curve = first[0]["curve"]
        curves[name] = PrecisionRecall(
            *(np.array(curve[k]) for k in ("distance", "precision", "recall"))
        )
        points = first[0]["precision_at"]
        at[name] = plots.Series([int(k) for k in points], list(points.values()))
    return {
        "map": plots.accuracy_by_length(deep, shallow, {}),
        "precision-recall": plots.precision_recall_curves(curves),
        "precision-at-k": plots.precision_at_curves(at),
    }


def _names(report: dict[str, Any]) -> list[str]:
    present = {row["method"] for row in report["rows"]}
    return [name for name in METHODS if name in present]


def _figures(rows: Sequence[dict[str, Any]], name: str, bits: int, key: str) -> list[float]:
    return [row[key] for row in rows if row["method"] == name and row["bits"] == bits]


def _mean_spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} ({len(values)})"


def _header(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
