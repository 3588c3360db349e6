"""What the documents say is what the committed reports say, of the model that is shipped."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from pathlib import Path

import pytest

from daah.comparison.methods.catalogue import METHODS
from daah.comparison.small_models import load_models
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import load_encoder
from scripts import render_reports

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


def report(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def table_row(document: str, name: str) -> list[str]:
    """The cells of the row that starts with this name."""
    (row,) = re.findall(
        rf"^\| {re.escape(name)} \|(.*)\|$", (ROOT / document).read_text(), re.MULTILINE
    )
    return [cell.strip() for cell in row.split("|")]


def said(document: str) -> str:
    """A document's text on one line, as sentences are looked for in it."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("document", render_reports.DOCUMENTS)
def test_documents_show_the_reports_figures(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert render_reports.render(text) == text, "run: python -m scripts.render_reports"


def test_every_block_is_used_and_a_changed_figure_is_noticed(tmp_path: Path) -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in render_reports.DOCUMENTS]
    used = {name for text in texts for name in re.findall(r"<!-- report: (\w+) -->", text)}
    assert used == set(render_reports.BLOCKS)
    shutil.copytree(RESULTS, tmp_path, dirs_exist_ok=True)
    changed = report("open-set")
    changed["results"][0]["map"] += 0.01
    (tmp_path / "open-set.json").write_text(json.dumps(changed))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert render_reports.render(readme, tmp_path) != readme


@pytest.mark.parametrize(
    "name", ["open-set", "orl-open-set", "identification", "bench", "clustering"]
)
def test_reports_are_of_the_shipped_checkpoint(name: str) -> None:
    encoder = load_encoder(ROOT / "checkpoints" / "demo.onnx")
    assert report(name)["checkpoint"]["sha256"] == encoder.fingerprint


def test_the_ablation_begins_with_the_shipped_checkpoint() -> None:
    encoder = load_encoder(ROOT / "checkpoints" / "demo.onnx")
    assert report("ablation")["rows"][0]["sha256"] == encoder.fingerprint


def test_the_graph_and_the_checkpoint_are_one_network() -> None:
    for name in ("demo", "paper"):
        graph = load_encoder(ROOT / "checkpoints" / f"{name}.onnx")
        checkpoint = load_checkpoint(ROOT / "checkpoints" / f"{name}.safetensors")
        assert graph.fingerprint == checkpoint.fingerprint
        assert graph.calibration.to_dict() == checkpoint.calibration


def test_what_the_card_claims_of_the_figures_is_so() -> None:
    """Claims in words, each held to its report."""
    results = report("open-set")["results"]
    hamming = {r["bits"]: r for r in results if r["distance"] == "hamming" and not r["rerank"]}
    peers = {r["bits"]: r["map"] for r in report("peers")["rows"] if not r["rerank"]}
    assert max(hamming, key=lambda bits: hamming[bits]["map"]) == 256  # the app's default
    below = [bits for bits in hamming if bits in peers and hamming[bits]["map"] <= peers[bits]]
    assert below == [16]
    attention = report("attention")
    random, middle = attention["deletion_random"], attention["deletion_gaussian"]
    assert random < middle < attention["deletion"]
    random, middle = attention["insertion_random"], attention["insertion_gaussian"]
    assert attention["insertion"] < middle < random
    complete, control, *others = report("ablation")["rows"]
    assert complete["clean_128"] == pytest.approx(hamming[128]["map"], abs=5e-4)
    assert control["covered_128_loss"][1] > 0  # the interval's lower end
    for row in others:
        assert row["covered_128_loss"][1] < 0 < row["covered_128_loss"][2]
    ratios = attention["occlusion"]["mass_ratio_by_kind"]
    assert max(ratios, key=ratios.get) == "aviator glasses"


def test_the_paper_models_card_says_what_its_report_and_its_file_say() -> None:
    figures, (row,) = report("closed-set"), report("closed-set")["results"]
    known = load_encoder(ROOT / "checkpoints" / "paper.safetensors").card
    card = said("checkpoints/paper.md")
    assert f"mAP {row['map']:.3f} on the {figures['queries']} queries of protocol 2" in card
    assert f"{row['bits']} bits, a closed set of {figures['people']} people" in card
    assert f"on the {figures['database']:,} database images" in card
    measured = known["metrics"]
    assert f"epoch {measured['epoch']}, the best by validation mAP ({measured['map']:.3f})" in card
    assert f"(standard deviation {measured['mask_spread']:.2f})" in card


# --- the comparison -------------------------------------------------------------------------------


def compared(name: str, rows: str = "rows", **wanted: object) -> list[dict]:
    found = [
        row
        for row in report(name)[rows]
        if all(row.get(key) == value for key, value in wanted.items())
    ]
    assert found, wanted
    return found


def test_the_comparison_has_every_method_whole_and_on_the_same_faces() -> None:
    found = report("compare")
    assert found["pending"] == []
    assert {row["method"] for row in found["rows"]} == set(METHODS)
    for name in METHODS:
        assert {row["bits"] for row in compared("compare", method=name)} == {12, 24, 36, 48}
        assert len(compared("compare", method=name, bits=48)) == 3
    assert "twenty-two hashing methods and DDAH" in said("README.md")
    assert len(METHODS) == 23
    few = report("four-epochs/compare")
    assert few["settings"]["budget"]["epochs"] == 4
    assert few["data"]["sha256"] == found["data"]["sha256"]


def test_what_the_comparison_finds_in_words_is_so() -> None:
    """Orders that docs/COMPARISON.md claims."""

    def mean(name: str, bits: int = 48, key: str = "map") -> float:
        return statistics.mean(row[key] for row in compared("compare", method=name, bits=bits))

    later = {"GreedyHash", "CSQ", "DPN", "DAGH", "BihalfNet", "DCDH", "OrthoHash"}
    for bits in (12, 24, 36, 48):
        order = sorted(METHODS, key=lambda name: -mean(name, bits))
        assert next(name for name in order if name not in later) == "DDAH"
        assert (order[0] == "DDAH") == (bits < 36)
        if bits > 24:
            assert set(order[:2]) == {"DPN", "OrthoHash"}
    lead = compared("compare", method="DDAH", bits=48)
    for name in ("DPN", "OrthoHash"):
        rows = compared("compare", method=name, bits=48)
        assert min(row["map"] for row in rows) > max(row["map"] for row in lead)
        assert mean(name, key="train_seconds") < mean("DDAH", key="train_seconds")
    assert max(METHODS, key=lambda name: mean(name, key="precision_radius2")) != "DDAH"
    named = {"DSDH", "DDH", "DDQH", "DDAH", "ADSH"} | later - {"BihalfNet"}
    pairs = {"DSH", "DHN", "multi-label DSH", "DSaH"}
    assert max(map(mean, pairs)) < 0.7 * min(map(mean, named))
    trunk = {
        row["method"]: row["map"]
        for row in compared("compare", "features", feature="trunk", bits=48)
        if row["method"] not in ("SDH", "KSH")
    }
    assert max(trunk, key=trunk.get) == "BihalfNet"
    parts = ("spatial attention", "channel attention", "fusing", "face spatial loss")
    cut = {
        part: statistics.mean(
            row["map"] for row in compared("compare", "ablation", variant=f"without {part}")
        )
        for part in parts
    }
    assert min(cut, key=cut.get) == "fusing"
    spread = statistics.stdev(row["map"] for row in lead)
    assert all(mean("DDAH") - cut[part] < spread for part in parts if part != "fusing")
    without = compared("compare", "ablation", variant="without face spatial loss")
    for margin in ("margin 0.3", "margin 1"):
        rows = compared("compare", "ablation", variant=margin)
        same = zip(without, rows, strict=True)
        assert all(a["map"] == pytest.approx(b["map"], abs=1e-3) for a, b in same)


def test_the_small_models_are_as_good_as_said() -> None:
    small = load_models().card["map"]
    named = ", ".join(f"{name} {small[name]:.3f}" for name in ("LSH", "ITQ", "SDH", "DSH", "DDQH"))
    assert f"({named})" in said("docs/COMPARISON.md")


def test_what_the_card_claims_of_planted_regions_is_so() -> None:
    found = report("planted-regions")
    assert found["checkpoint"]["sha256"] == report("open-set")["checkpoint"]["sha256"]
    ours = ("mask", "bit view", "pair map, bits that agree", "pair map, bits that differ")
    areas = {name: by_kind["all"] for name, by_kind in found["auc"].items()}
    for name in (*ours, "RISE", "Grad-CAM"):
        assert areas[name][1] > 0.5
        assert areas[name][0] < areas["centred Gaussian"][0]
    located = found["located"]
    for name in ("mask", "bit view"):
        assert located[name][2] < 1 / 3
    low, high = located["pair map, bits that differ"][1:]
    assert low < 1 / 3 < high
    assert located["Grad-CAM"][1] > 1 / 3
    assert located["RISE"][0] == pytest.approx(5 / 6, abs=0.01)
    shuffled = "pair map, bits that differ, random weights"
    assert abs(areas[shuffled][0] - 0.5) < 0.05
    assert located[shuffled][1] < 1 / 3 < located[shuffled][2]


# --- codes of equal size --------------------------------------------------------------------------


def test_what_the_card_claims_of_codes_of_equal_size_is_so() -> None:
    report_ = report("equal-bytes")
    assert report_["checkpoint"]["sha256"] == report("open-set")["checkpoint"]["sha256"]
    found = {(r["method"], r["fitted_on"], r["bytes"], r["distance"]): r for r in report_["rows"]}
    assert len(found) == len(report_["rows"])

    def ours(size: int, distance: str) -> float:
        return found["this project", "logits", size, distance]["map"]

    for row in report("open-set")["results"]:
        if row["bits"] in (64, 128, 256) and not row["rerank"]:
            distance = "symmetric" if row["distance"] == "hamming" else "asymmetric"
            assert ours(row["bits"] // 8, distance) == pytest.approx(row["map"], abs=2e-3)
    rivals = {key: row["map"] for key, row in found.items() if key[0] != "this project"}
    assert ours(8, "symmetric") > max(
        value for (*_, size, distance), value in rivals.items()
        if (size, distance) == (8, "symmetric")
    )  # fmt: skip
    for distance in ("symmetric", "asymmetric"):
        assert rivals["OPQ", "embedding", 32, distance] > ours(32, distance)
        for size in (16, 32):
            itq = rivals["ITQ", "embedding", size, distance]
            assert itq == pytest.approx(ours(size, distance), abs=0.01)
    quick = [r["times_hamming"] for r in report_["rows"] if r["method"] == "PQ, 4 bits per part"]
    assert max(value for value in quick if value is not None) < 1


def test_a_hundred_million_codes_were_scanned() -> None:
    sizes = report("cascade")["sizes"]
    assert [size["size"] for size in sizes] == [10**6, 10**7, 10**8]
    scans = [sizes[-1]["ms"][f"faiss, {bits} bits"] for bits in (64, 128)]
    text = said("docs/SCALE.md")
    assert f"{scans[0]:.0f} ms per query on one core at 64 bits, {scans[1]:.0f} at 128;" in text
    assert table_row("docs/SCALE.md", "one query, one core")[1] == f"{scans[0]:.0f} ms"
    batch = sizes[-1]["batch_queries_a_second"]["64 bits"]
    assert table_row("docs/SCALE.md", "queries per second and core")[1] == f"{batch:.0f}"


# --- galleries of many faces ----------------------------------------------------------------------


def test_the_guide_to_many_faces_says_what_was_measured() -> None:
    text = said("docs/SCALE.md")
    rows = {(row["size"], row["bits"]): row for row in report("stores")["sqlite"]}
    servers = {row["size"]: row for row in report("stores")["milvus"]}
    most, wide = rows[10**7, 64], rows[10**7, 128]
    single = "single_ms"
    assert (
        f"{most[single]['search']:.0f} to {wide[single]['search, re-ranked']:.0f} ms per query on "
        "one core, 0.2 to 0.5 GB of memory"
    ) in text
    assert [round(row["memory"]["opened_and_searched_mb"], -2) for row in (most,)] == [200]
    assert round(wide["memory"]["with_filters_mb"], -2) == 500
    assert (
        f"{most[single]['search']:.1f} ms for ten million here, {most[single]['faiss']:.1f} by "
        f"bare faiss"
    ) in text
    opened = [row["open"]["seconds_without_packed_codes"] for row in (most, wide)]
    assert f"{opened[0]:.0f} to {opened[1]:.0f} seconds for ten million" in text
    first = [row["first_filtered_search_seconds"] for row in (most, wide)]
    assert f"{first[0]:.0f} to {first[1]:.0f} for ten" in text
    fresh = (servers[10**6]["server_mb"] - servers[10**5]["server_mb"]) / 0.9
    assert f"{fresh:.0f} bytes while its rows are fresh (from 100,000 to a million faces)" in text
    million = servers[10**6]
    assert (
        f"With a million faces it took {million[single]['search']:.0f} ms per query while other "
        f"programs used {million['cores_used_by_others']} of the machine's 2 cores"
    ) in text
    assert table_row("docs/SCALE.md", "one query, all nodes at it")[0] == (
        f"{million[single]['search']:.0f} ms"
    )
    assert table_row("docs/SCALE.md", "queries per second and replica")[0] == str(
        million["batch_queries_a_second"]["search"]
    )
    bulk = report("bulk")
    assert (bulk["photos"], bulk["broken"], bulk["kills"]) == (100_000, 1_000, 2)
    assert "A hundred thousand lines, a thousand of them broken, killed twice" in text
    held = [part for run in bulk["memory_mb_of_each_run"] for part in run.values()]
    assert {round(megabytes / 1000, 1) for megabytes in held} == {1.8}
