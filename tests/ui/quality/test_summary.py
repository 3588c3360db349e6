"""The five numbers are those of the committed reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from daah.models.encoder import FaceEncoder
from daah.ui.quality import summary
from daah.ui.quality.reports import RESULTS


def report(name: str) -> dict[str, Any]:
    """A committed report."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def only(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The one row with these values."""
    (found,) = [r for r in rows if all(r.get(k) == v for k, v in wanted.items())]
    return found


def test_the_five_numbers_are_in_the_committed_reports(encoder: FaceEncoder) -> None:
    bits = encoder.bits
    said = summary.sentences(encoder, bits)
    first = [re.search(r"<b>([\d.]+)", sentence)[1] for sentence in said]
    search = only(report("open-set")["results"], bits=bits, distance="hamming", rerank=False)
    asked = only(
        report("identification")["results"], bits=bits, distance="hamming", template="fused"
    )
    speed = only(report("bench")["rows"], what="encode one face, batch 1")
    assert first == [
        f"{100 * search['rank1']:.1f}",
        f"{100 * asked['rule']['fpir']:.1f}",
        f"{100 * asked['rule']['fnir']:.1f}",
        str(bits // 8),
        f"{speed['ours']:.0f}",
    ]
    for count in ("queries", "images", "people"):
        assert f"{report('open-set')[count]:,}" in said[0]
    text = " ".join(said) + summary.panel(said, bits)
    assert ".json" not in text
    assert f"All at {bits} bits" in text


def test_reports_about_another_checkpoint_are_not_used(tmp_path: Path) -> None:
    other = SimpleNamespace(fingerprint="0" * 64)
    assert [s for s in summary.sentences(other, 64) if "bytes" not in s] == []
    assert len(summary.sentences(other, 64, tmp_path)) == 1
