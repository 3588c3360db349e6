"""What the documents say is what the committed reports say, of the model that is shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from daah.models.encoder import load_encoder

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


def report(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def table_row(document: str, name: str) -> list[str]:
    """The cells of the row that starts with this name."""
    (row,) = re.findall(
        rf"^\| {re.escape(name)} \|(.*)\|$", (ROOT / document).read_text(), re.MULTILINE
    )
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize("document", ["docs/MODEL_CARD.md", "README.md"])
def test_tables_show_the_reports_figures(document: str) -> None:
    results = {(row["bits"], row["rerank"]): row for row in report("open-set")["results"]}
    lengths = [int(cell) for cell in table_row(document, "bits")]
    for name, rerank in (
        ("mAP, Hamming distance alone", False),
        ("mAP, nearest 200 re-ranked by logits", True),
    ):
        figures = [f"{results[bits, rerank]['map']:.3f}" for bits in lengths]
        assert table_row(document, name) == figures
    peers = {row["bits"]: row for row in report("peers")["rows"] if not row["rerank"]}
    expected = [f"{peers[bits]['map']:.3f}" for bits in lengths]
    assert table_row(document, "dlib's embedding, ITQ for each length") == expected


def test_the_card_says_what_the_attention_report_says() -> None:
    figures = report("attention")
    for key in (
        "inside_mass_ratio",
        "deletion",
        "deletion_random",
        "deletion_gaussian",
        "insertion",
        "insertion_random",
        "insertion_gaussian",
        "mask_spread_within",
        "mask_spread_between",
        "map_with_mask",
        "map_without_mask",
    ):
        assert table_row("docs/MODEL_CARD.md", f"`{key}`") == [f"{figures[key]:.3f}"]


@pytest.mark.parametrize("name", ["open-set", "orl-open-set"])
def test_reports_are_of_the_shipped_checkpoint(name: str) -> None:
    encoder = load_encoder(ROOT / "checkpoints" / "demo.safetensors")
    assert report(name)["checkpoint"]["sha256"] == encoder.fingerprint


def test_the_card_says_what_the_reproduction_gave() -> None:
    results = {
        row["bits"]: row for row in report("reproduction/open-set")["results"] if not row["rerank"]
    }
    lengths = [int(cell) for cell in table_row("docs/MODEL_CARD.md", "length")]
    figures = table_row("docs/MODEL_CARD.md", "mAP of the command's own file")
    assert figures == [f"{results[length]['map']:.3f}" for length in lengths]
    shipped = {row["bits"]: row for row in report("open-set")["results"] if not row["rerank"]}
    apart = max(abs(results[length]["map"] - shipped[length]["map"]) for length in lengths)
    card = (ROOT / "docs" / "MODEL_CARD.md").read_text()
    assert f"within {apart:.3f} at every length" in card
