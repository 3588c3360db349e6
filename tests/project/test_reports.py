"""What the documents say is what the committed reports say, of the model that is shipped."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

from daah.comparison.small_models import load_models
from daah.models.ddah import DemoDDAH
from daah.models.encoder import load_encoder

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


def said(document: str) -> str:
    """A document's text on one line, as sentences are looked for in it."""
    return " ".join((ROOT / document).read_text(encoding="utf-8").split())


def by_bits(name: str, rows: str = "results", **wanted: object) -> dict[int, dict]:
    """Rows of a report by their code length, those with these values alone."""
    chosen = (
        row for row in report(name)[rows] if all(row[key] == value for key, value in wanted.items())
    )
    return {row["bits"]: row for row in chosen}


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def test_the_readme_says_how_many_queries_there_were() -> None:
    figures = report("open-set")
    assert (
        f"validation: {figures['images']:,} photos, {figures['people']:,} identities; "
        f"leave-one-out, {figures['queries']:,} queries with at least one mate"
    ) in said("README.md")
    card = said("docs/MODEL_CARD.md")
    assert f"on {figures['images']:,} photos of {figures['people']:,} validation identities" in card
    assert f"The {figures['queries']:,} photos with at least one mate are the queries" in card
    assert f"{figures['undetected']} photo without a detected face" in card


def test_the_card_has_every_row_of_its_table() -> None:
    results = by_bits("open-set", rerank=False)
    for name, key in (
        ("rank-1, Hamming", "rank1"),
        ("precision at 10, Hamming", "precision_at_10"),
        ("TAR at FAR 1e-2, Hamming", "tar_at_far_1e-2"),
        ("TAR at FAR 1e-3, Hamming", "tar_at_far_1e-3"),
    ):
        expected = [f"{row[key]:.3f}" for row in results.values()]
        assert table_row("docs/MODEL_CARD.md", name) == expected
    intervals = ["{:.3f} to {:.3f}".format(*row["map_ci95"]) for row in results.values()]
    assert table_row("docs/MODEL_CARD.md", "its 95% interval") == intervals
    floats = next(row for row in report("peers")["rows"] if row["bits"] == 0)
    assert f"its {floats['bytes']} bytes of floats reach {floats['map']:.3f}" in said(
        "docs/MODEL_CARD.md"
    )


def test_the_card_says_what_the_default_threshold_does() -> None:
    """By pairs from the open-set report, by searches from that of unknown people."""
    pairs, searches = by_bits("open-set", rerank=False), by_bits("unknown-people", "lengths")
    encoder = load_encoder(ROOT / "checkpoints" / "demo.safetensors")
    assert encoder.calibration.target_far == 1e-3
    whole, half = encoder.bits, 64
    for bits in (whole, half):
        assert encoder.calibration.threshold(bits) == searches[bits]["threshold"]
    missed = {bits: percent(1 - pairs[bits]["tar_at_far_1e-3"]) for bits in (whole, half)}
    card = said("docs/MODEL_CARD.md")
    assert (
        f"At {whole} bits, which the app uses, the default threshold of "
        f"{searches[whole]['threshold']} bits has a false accept rate of one in a thousand "
        f"pairs of different people and misses {missed[whole]} of the pairs of the same "
        f"person. In a gallery of {searches[whole]['enrolled']} people it misses "
        f"{percent(searches[whole]['fnir'])} of the searches with a mate (FNIR) and gives a "
        f"name to {percent(searches[whole]['fpir'])} of the searches without one (FPIR). At "
        f"{half} bits the four figures are {searches[half]['threshold']} bits, {missed[half]}, "
        f"{percent(searches[half]['fnir'])} and {percent(searches[half]['fpir'])}"
    ) in card


def test_the_card_says_what_corruptions_cost() -> None:
    slices = report("slices")
    rows = {(row["kind"], row["value"]): f"{row['map']:.3f}" for row in slices["damage"]}
    tones = [f"{row['map']:.3f}" for row in slices["groups"] if row["attribute"] == "skin_luma"]
    assert (
        f"At {slices['bits']} bits mAP is {rows['clean', 0]}. It falls to {rows['face_width', 24]} "
        f"with faces of 24 pixels, to {rows['blur', 3.0]} with a blur of 3 of 150 pixels, to "
        f"{rows['grey', 1]} in grayscale, to {rows['rotation', 20]} when the aligned face is "
        f"rotated by 20 degrees, to {rows['glasses_band', 1]} with the eyes occluded and to "
        f"{rows['mouth_band', 1]} with the mouth occluded. By quartile of skin luminance, dark to "
        f"light, it is {', '.join(tones[:3])} and {tones[3]}."
    ) in said("docs/MODEL_CARD.md")


def test_the_card_says_what_the_benchmark_measured() -> None:
    rows = {row["what"]: row for row in report("bench")["rows"]}
    one, many = rows["encode one face, batch 1"], rows["encode one face, batch 32"]
    slow = rows["encode one face, float32, batch 1"]
    card = said("docs/MODEL_CARD.md")
    assert (
        f"{one['ours']:.1f} ms per face against {one['peer']:.1f} ms for one face (a ratio of "
        f"{one['ours'] / one['peer']:.3f}), {many['ours']:.1f} ms against {many['peer']:.1f} "
        f"ms for 32 faces in one call ({many['ours'] / many['peer']:.3f})"
    ) in card
    assert (
        f"one face takes {slow['ours']:.1f} ms against {slow['peer']:.1f} ms "
        f"({slow['ours'] / slow['peer']:.3f})"
    ) in card


def test_the_card_and_the_datasheet_say_what_the_checkpoint_knows() -> None:
    encoder = load_encoder(ROOT / "checkpoints" / "demo.safetensors")
    training = encoder.card["training"]
    card = said("docs/MODEL_CARD.md")
    assert f"On {training['images']:,} faces of {training['people']:,} identities" in card
    parameters = sum(p.numel() for p in encoder.model.parameters())
    assert f"{parameters / 1e6:.1f} million parameters" in card
    assert f"{100 * DemoDDAH.MASK_FLOOR:.0f}% of the contrast still passes" in card
    validated = training["validation"]
    assert f"({validated['people']:,} people, {validated['images']:,} photos)" in said(
        "docs/DATASHEET.md"
    )
    mask = report("attention")
    assert (
        f"With the mask, mAP at 64 bits is {mask['map_with_mask']:.3f}, without it "
        f"{mask['map_without_mask']:.3f}"
    ) in card
    again = report("reproduction/attention")
    assert (
        f"{again['inside_mass_ratio']:.3f} inside, deletion {again['deletion']:.3f}, insertion "
        f"{again['insertion']:.3f}), but at 64 bits retrieval is as good without it: "
        f"{again['map_with_mask']:.3f} with, {again['map_without_mask']:.3f} without"
    ) in card
    log = (RESULTS / "reproduction" / "log.csv").read_text().splitlines()
    column = log[0].split(",").index("map_64")
    best = max(log[1:], key=lambda line: float(line.split(",")[column]))
    assert best.startswith("9,")
    assert "the ninth epoch was its best" in card


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


def spread(rows: list[dict], key: str = "map") -> str:
    values = [row[key] for row in rows]
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def test_the_comparison_says_what_its_report_says() -> None:
    text = said("docs/COMPARISON.md")
    data = report("compare")["data"]
    assert (
        f"{data['people']} people, {data['database']:,} database images, {data['queries']} queries"
    ) in text
    at_48 = {
        name: spread(compared("compare", method=name, bits=48))
        for name in ("DDAH", "DSDH", "DDQH", "ADSH", "DDH")
    }
    others = [f"{name} ({figure})" for name, figure in at_48.items() if name != "DDAH"]
    assert f"{at_48['DDAH']} at 48 bits, before {', '.join(others[:3])} and {others[3]}" in text
    short = {
        name: [
            f"{compared('compare', method=name, bits=bits)[0]['map']:.3f}" for bits in (12, 24, 36)
        ]
        for name in ("DDAH", "DDQH")
    }
    assert (
        f"{short['DDAH'][0]}, {short['DDAH'][1]} and {short['DDAH'][2]} before DDQH's "
        f"{short['DDQH'][0]}, {short['DDQH'][1]} and {short['DDQH'][2]}"
    ) in text
    near = {
        name: spread(compared("compare", method=name, bits=48), "precision_radius2")
        for name in ("DSDH", "DDAH")
    }
    assert f"DSDH is more precise ({near['DSDH']} against {near['DDAH']}" in text
    few = {
        name: spread(compared("four-epochs/compare", method=name, bits=48))
        for name in ("DDAH", "DDQH", "DDH")
    }
    assert report("four-epochs/compare")["settings"]["budget"]["epochs"] == 4
    assert (f"third ({few['DDAH']}) behind DDQH ({few['DDQH']}) and DDH ({few['DDH']})") in text
    variants = [
        spread(compared("compare", "ablation", variant=f"without {part}"))
        for part in ("spatial attention", "channel attention", "face spatial loss", "fusing")
    ]
    assert (
        f"without spatial attention mAP is {variants[0]}, without channel attention {variants[1]}, "
        f"without the face spatial loss {variants[2]}"
    ) in text
    assert f"({variants[3]} without)" in text
    trunk = {
        bits: compared("compare", "features", method="SDH", feature="trunk", bits=bits)[0]["map"]
        for bits in (12, 48)
    }
    lbp = statistics.mean(row["map"] for row in compared("compare", method="SDH", bits=48))
    assert (
        f"has {trunk[48]:.3f} at 48 bits, at about a hundredth of the time after that start, and "
        f"{trunk[12]:.3f} at 12 bits, where only DDAH is better. On LBP histograms it has "
        f"{lbp:.3f}."
    ) in text
    small = load_models().card["map"]
    named = ", ".join(f"{name} {small[name]:.3f}" for name in ("LSH", "ITQ", "SDH", "DSH", "DDQH"))
    assert f"({named}): level with the table, but for SDH ({lbp:.3f} there)" in text
    methods = len({row["method"] for row in report("compare")["rows"]})
    assert methods - 1 == 15
    assert "fifteen hashing methods and DDAH" in said("README.md")


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
