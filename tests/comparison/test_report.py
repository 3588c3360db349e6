"""The report of a comparison."""

from __future__ import annotations

from daah.comparison import report as comparison_report
from daah.metrics.query_database import AT


def row(method: str, bits: int, seed: int, value: float) -> dict:
    return {
        "method": method,
        "bits": bits,
        "seed": seed,
        "map": value,
        "precision_radius2": value / 2,
        "precision_at": dict.fromkeys(map(str, AT), value),
        "train_seconds": 2.0,
        "encode_ms": 0.5,
        "curve": {"distance": [0, 1], "precision": [1.0, 0.5], "recall": [0.1, 1.0]},
    }


def test_the_report_gives_mean_and_spread() -> None:
    rows = [row("ITQ", 48, s, v) for s, v in enumerate((0.1, 0.2, 0.3))] + [row("ITQ", 12, 0, 0.4)]
    report = {
        "rows": rows,
        "data": {"name": "d", "people": 2, "database": 3, "queries": 4},
        "command": "c",
        "features": [],
        "ablation": [],
        "references": [],
        "tuning": [],
        "starts": [],
        "pending": ["one"],
    }
    text = comparison_report.markdown(report)
    assert "| ITQ | 0.400 | 0.200 ± 0.100 (3) |" in text
    assert "Not done yet: 1" in text
    assert "0.200 ± 0.100 (3)" in comparison_report.progress_table(report)
    curve = comparison_report.draw(report)["precision-recall"].axes[0].lines[0]
    assert curve.get_ydata().tolist() == [1.0, 0.5]
