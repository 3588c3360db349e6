"""Write figures of committed reports into the documents: everything between two marks.

    python -m scripts.render_reports

A document holds `<!-- report: NAME -->` ... `<!-- end of report -->`; NAME is a function below. The
tests fail where a document says anything else than the reports do.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import comparison_findings
from scripts.markdown import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
DOCUMENTS = (
    "README.md",
    "SECURITY.md",
    "docs/DEPLOY.md",
    "docs/MODEL_CARD.md",
    "docs/DATASHEET.md",
    "docs/SCALE.md",
    "docs/COMPARISON.md",
    "checkpoints/demo.md",
)

_BLOCK = re.compile(r"(<!-- report: (\w+) -->\n)(.*?)(<!-- end of report -->)", re.DOTALL)

Report = Mapping[str, Any]


def render(text: str, results: Path = RESULTS) -> str:
    """A document with every block replaced.

    Args:
        text: the document.
        results: folder of reports.

    Returns:
        The document.

    Raises:
        KeyError: a block names nothing that is known.
    """
    return _BLOCK.sub(lambda m: m[1] + BLOCKS[m[2]](_Reports(results)) + "\n" + m[4], text)


class _Reports:
    """The reports of a folder by name, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Report:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


def _share(value: float) -> str:
    return f"{value:.3f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _chosen(report: Report, **wanted: object) -> list[Report]:
    return [
        row for row in report["results"] if all(row[key] == value for key, value in wanted.items())
    ]


def _accuracy(reports: _Reports, prefix: str = "") -> str:
    open_set = reports[f"{prefix}open-set"]
    plain = _chosen(open_set, distance="hamming", rerank=False)
    rows = [
        ("mAP, Hamming distance", [_share(r["map"]) for r in plain]),
        ("its 95% interval", ["{:.3f} to {:.3f}".format(*r["map_ci95"]) for r in plain]),
        (
            "mAP, asymmetric distance",
            [_share(r["map"]) for r in _chosen(open_set, distance="asymmetric")],
        ),
        ("rank-1, Hamming distance", [_share(r["rank1"]) for r in plain]),
        ("TAR at FAR 1e-3, Hamming distance", [_share(r["tar_at_far_1e-3"]) for r in plain]),
    ]
    if not prefix:
        rows.append(("dlib's embedding, ITQ for each length", _peers(reports, plain)))
    head = ["bits", *(str(r["bits"]) for r in plain)]
    return table(head, ([name, *cells] for name, cells in rows))


def _peers(reports: _Reports, rows: list[Report]) -> list[str]:
    peers = {r["bits"]: r for r in reports["peers"]["rows"] if not r["rerank"]}
    return [_share(peers[r["bits"]]["map"]) if r["bits"] in peers else "–" for r in rows]


def accuracy(reports: _Reports) -> str:
    """Protocol 1 on validation people."""
    return _accuracy(reports)


def accuracy_orl(reports: _Reports) -> str:
    """Protocol 1 on ORL."""
    return _accuracy(reports, "orl-")


def accuracy_short(reports: _Reports) -> str:
    """Protocol 1 on validation people, for the README."""
    open_set = reports["open-set"]
    plain = _chosen(open_set, distance="hamming", rerank=False)
    return table(
        ["bits", *(str(r["bits"]) for r in plain)],
        [
            ["mAP, Hamming distance", *(_share(r["map"]) for r in plain)],
            [
                "mAP, asymmetric distance",
                *(_share(r["map"]) for r in _chosen(open_set, distance="asymmetric")),
            ],
            ["dlib's embedding, ITQ for each length", *_peers(reports, plain)],
        ],
    )


def searches(reports: _Reports) -> str:
    """What protocol 1 was measured on."""
    r, floats = reports["open-set"], next(p for p in reports["peers"]["rows"] if p["bits"] == 0)
    return (
        f"{r['images']:,} photos of {r['people']:,} people whom training never saw, "
        f"{r['undetected']} of them without a detected face. The {r['queries']:,} photos with at "
        "least one mate are the queries; the database is every other photo. dlib's "
        f"{floats['bytes']} bytes of floats reach {_share(floats['map'])}."
    )


def identification(reports: _Reports) -> str:
    """Protocol 3 on validation people."""
    report = reports["identification"]
    rows = []
    for distance in ("hamming", "asymmetric"):
        for template in ("one", "fused"):
            for r in _chosen(report, distance=distance, template=template):
                if r["bits"] >= 64:
                    rates = [
                        _percent(r["fnir_at_fpir"][level]) for level in ("0.1", "0.01", "0.003")
                    ]
                    shipped = [f"{r['threshold']:.1f}", _percent(r["fpir"]), _percent(r["fnir"])]
                    rows.append([str(r["bits"]), distance, template, *rates,
                                 _percent(r["rank1_miss"]), *shipped])  # fmt: skip
    head = ["bits", "distance", "photos enrolled", "FNIR at FPIR 10%", "at 1%", "at 0.3%",
            "another person nearest", "limit in bits", "its FPIR", "its FNIR"]  # fmt: skip
    return table(head, rows)


def identification_sizes(reports: _Reports) -> str:
    """Protocol 3 by the number of people enrolled."""
    rows = []
    for r in _chosen(reports["identification"], distance="hamming", template="one"):
        if r["bits"] >= 64:
            for size, rates in r["by_people"].items():
                cells = []
                for level in ("0.1", "0.01", "0.003"):
                    low, high = rates["fnir_ci95"][level]
                    interval = f"{100 * low:.0f} to {100 * high:.0f}"
                    cells.append(f"{_percent(rates['fnir_at_fpir'][level])} ({interval})")
                rows.append([str(r["bits"]), size, *cells, _percent(rates["rank1_miss"])])
    head = ["bits", "people enrolled", "FNIR at FPIR 10% (95% interval)", "at 1%", "at 0.3%",
            "another person nearest"]  # fmt: skip
    return table(head, rows)


def identification_slices(reports: _Reports) -> str:
    """Protocol 3 by group of photos, at the shipped thresholds."""
    names = {"face_width": "face width in pixels", "turn": "turn of the head",
             "skin_luma": "skin luminance"}  # fmt: skip

    def rate(row: Report, key: str, digits: int) -> str:
        if row[key] is None:
            return "–"
        low, high = (100 * end for end in row[f"{key}_ci95"])
        return f"{100 * row[key]:.{digits}f}% ({low:.{digits}f} to {high:.{digits}f})"

    rows = [
        [f"{names[row['attribute']]}, {row['group']}", f"{row['photos']:,}",
         rate(row, "fmr", 2), rate(row, "fnmr", 1), rate(row, "fpir", 1), rate(row, "fnir", 1)]
        for row in reports["identification"]["slices"] if row["attribute"] in names
    ]  # fmt: skip
    return table(["photos with", "photos", "FMR (95% interval)", "FNMR", "FPIR", "FNIR"], rows)


def identification_words(reports: _Reports) -> str:
    """What protocol 3 says in a sentence or two."""
    report = reports["identification"]
    bits = max(r["bits"] for r in report["results"])
    (one,) = _chosen(report, distance="hamming", template="one", bits=bits)
    (fused,) = _chosen(report, distance="hamming", template="fused", bits=bits)
    low, high = one["fnir_ci95"]["0.003"]
    worst = {
        key: max((s for s in report["slices"] if s[key] is not None), key=lambda s: s[key])
        for key in ("fmr", "fnmr")
    }
    return (
        f"At {bits} bits by Hamming distance the app calls {_percent(fused['rule']['fpir'])} of "
        f"the non-mated searches a match, and misses {_percent(fused['rule']['fnir'])} of the "
        "mated ones where all photos of a person but one are fused, "
        f"{_percent(one['rule']['fnir'])} where one photo is enrolled; most of those are called "
        f"unclear, and {_percent(one['rule']['no_match_mated'])} of the mated searches are told "
        f'"no match". A rate of 0.3% is {0.003 * report["non_mated"]:.1f} of '
        f"{report['non_mated']} searches, so its FNIR is known to between {_percent(low)} and "
        f"{_percent(high)} only. The highest FMR of a group is {100 * worst['fmr']['fmr']:.2f}% "
        f"({worst['fmr']['attribute'].replace('_', ' ')} {worst['fmr']['group']}), the highest "
        f"FNMR {_percent(worst['fnmr']['fnmr'])} "
        f"({worst['fnmr']['attribute'].replace('_', ' ')} {worst['fnmr']['group']})."
    )


def identification_data(reports: _Reports) -> str:
    """What protocol 3 was measured on."""
    r = reports["identification"]
    return (
        f"{r['enrolled']:,} people enrolled, {r['mated']:,} mated and {r['non_mated']:,} non-mated "
        "searches."
    )


def equal_bytes(reports: _Reports) -> str:
    """Our code beside vector quantisers of as many bytes."""
    rows = [
        [str(r["bytes"]), r["method"], r["fitted_on"], r["distance"], _share(r["map"]),
         _percent(r["fnir_at_fpir"]["0.1"]), _percent(r["fnir_at_fpir"]["0.01"]),
         "–" if r["microseconds_per_comparison"] is None
         else f"{r['microseconds_per_comparison']:.4f}",
         "–" if r["times_hamming"] is None else f"{r['times_hamming']:.1f}"]
        for r in sorted(reports["equal-bytes"]["rows"], key=lambda r: r["bytes"])
    ]  # fmt: skip
    head = ["bytes", "code", "made from", "distance", "mAP", "FNIR at FPIR 10%", "at 1%",
            "µs per comparison", "times Hamming"]  # fmt: skip
    return table(head, rows)


def equal_bytes_words(reports: _Reports) -> str:
    """Where a binary code loses, and what it buys."""
    report = reports["equal-bytes"]
    rows = report["rows"]

    def of(method: str, size: int, distance: str) -> Report:
        """The better of the same on embeddings and on logits, by mAP."""
        return max(
            (r for r in rows
             if (r["method"], r["bytes"], r["distance"]) == (method, size, distance)),
            key=lambda r: r["map"],
        )  # fmt: skip

    def best(size: int, distance: str) -> Report:
        names = {r["method"] for r in rows if r["bytes"] == size and r["distance"] == distance}
        return max((of(name, size, distance) for name in names - {"this project"}),
                   key=lambda r: r["map"])  # fmt: skip

    said = []
    for size in (8, 16, 32):
        ours = [of("this project", size, kind) for kind in ("symmetric", "asymmetric")]
        rivals = [best(size, kind) for kind in ("symmetric", "asymmetric")]
        said.append(
            f"At {size} bytes our code has mAP {ours[0]['map']:.3f} by Hamming distance and "
            f"{ours[1]['map']:.3f} with the query's floats; the best other code of {size} bytes "
            f"has {rivals[0]['map']:.3f} ({rivals[0]['method']}, on the {rivals[0]['fitted_on']}) "
            f"and {rivals[1]['map']:.3f} ({rivals[1]['method']}, on the "
            f"{rivals[1]['fitted_on']})."
        )
    exact = max((r for r in rows if r["method"] == "floats"), key=lambda r: r["map"])
    pq = of("PQ", 32, "asymmetric")
    quick = [
        r["times_hamming"]
        for r in rows
        if r["method"] == "PQ, 4 bits per part" and r["times_hamming"] is not None
    ]
    said.append(
        f"The floats themselves, {exact['bytes']:,} bytes, have {exact['map']:.3f}. A comparison "
        f"of 32 bytes takes {pq['times_hamming']:.1f} times as long by product quantisation as by "
        f"Hamming distance, and a float comparison {exact['times_hamming']:.0f} times as long. "
        "Product quantisation with 4 bits per part, whose tables stay in registers, takes "
        f"{min(quick):.1f} to {max(quick):.1f} times as long."
    )
    return " ".join(said)


def equal_bytes_data(reports: _Reports) -> str:
    """What the codes of equal size were fitted and measured on."""
    report = reports["equal-bytes"]
    return (
        f"Fitted on {report['fitted_images']:,} faces of {report['fitted_people']:,} training "
        f"people, measured on {report['images']:,} photos of {report['people']:,} validation "
        f"people; time against {report['stored']:,} stored codes on one thread."
    )


def scale(reports: _Reports) -> str:
    """Scans of a million to a hundred million codes."""
    machine = reports["cascade"]["machine"]
    rows = [
        [f"{s['size']:,}", f"{s['code_mb'] / 2:,.0f} and {s['code_mb']:,}",
         f"{s['ms']['faiss, 64 bits']:.1f}", f"{s['ms']['faiss, 128 bits']:.1f}",
         f"{s['ms']['128 bits, then logits']:.1f}",
         f"{s['within_ms']:.1f} ({s['within_times_faiss']:.2f})",
         f"{s['batch_queries_a_second']['64 bits']:,.0f} and "
         f"{s['batch_queries_a_second']['128 bits']:,.0f}",
         f"{s['all_cores_times_one']:.2f}", f"{s['cores_used_by_others']:.1f}"]
        for s in reports["cascade"]["sizes"]
    ]  # fmt: skip
    head = ["codes", "MB at 64 and 128 bits", "faiss, 64 bits, ms", "faiss, 128 bits, ms",
            "128 bits, then logits, ms", "radius search, ms (times faiss)",
            "queries per second of a batch, 64 and 128 bits", "all cores, times one core",
            "cores used by others"]  # fmt: skip
    about = f"{machine['processor']}, {machine['cores']} cores:"
    return f"{about}\n\n{table(head, rows)}"


def cascade(reports: _Reports) -> str:
    """First bits, whole code, logits."""
    rows = [
        [f"{r['size']:,}", str(r["first_bits"]), f"{r['shortlist']:,}", _share(r["recall_at_1"]),
         _share(r["recall_at_10"]), _share(r["mate_first"]), f"{r['ms']:.1f}",
         f"{r['times_faiss']:.2f}"]
        for s in reports["cascade"]["sizes"] for r in s["rows"]
    ]  # fmt: skip
    head = ["codes", "first bits", "shortlist", "recall of the first", "of the first ten",
            "mate first", "ms", "times faiss, 128 bits"]  # fmt: skip
    return table(head, rows)


def cascade_words(reports: _Reports) -> str:
    """What a cascade is worth at each size."""
    said = []
    for s in reports["cascade"]["sizes"]:
        without = s["ms"]["128 bits, then logits"]
        alike = [r for r in s["rows"] if r["mate_first"] >= s["mate_first_by_logits"] - 0.01]
        words = (
            f"At {s['size']:,} codes the mate is first in {_percent(s['mate_first_by_logits'])} of "
            "the searches without a cascade, and "
        )
        if alike:
            chosen = min(alike, key=lambda r: r["ms"])
            words += (
                "the quickest cascade that loses at most one in a hundred takes "
                f"{_told(chosen, without)}."
            )
        else:
            chosen = max(s["rows"], key=lambda r: r["mate_first"])
            words += (
                f"in {_percent(chosen['mate_first'])} with the best cascade, which takes "
                f"{_told(chosen, without)}."
            )
        said.append(words)
    return " ".join(said)


def _told(row: Report, without: float) -> str:
    """Time, settings and recall of one cascade."""
    return (
        f"{row['ms'] / without:.2f} times the time (first {row['first_bits']} bits, "
        f"{row['shortlist']:,} kept) and keeps {_percent(row['recall_at_10'])} of the exact ten"
    )


def scale_beyond(reports: _Reports) -> str:
    """A scan beyond what was measured, from the largest that was."""
    largest = reports["cascade"]["sizes"][-1]
    rows = []
    for bits, read in ((64, 8), (128, 16)):
        each = largest["ms"][f"faiss, {bits} bits"] * 1e6 / largest["size"]  # nanoseconds
        for size in (10**9, 10**10):
            seconds = each * size / 1e9
            cores = -(-seconds // 0.1)
            rows.append([f"10^{len(str(size)) - 1}", str(bits), f"{each:.2f}", f"{seconds:.1f}",
                         f"{cores:,.0f}", f"{size * read / 1e9:,.0f}"])  # fmt: skip
    head = ["codes", "bits", "ns per code and core, measured", "core-seconds per query",
            "cores for 0.1 s per query", "GB of codes per replica"]  # fmt: skip
    return table(head, rows)


def attention(reports: _Reports) -> str:
    """Protocol 4, the mask itself."""
    keys = ("inside_mass_ratio", "deletion", "deletion_random", "deletion_gaussian", "insertion",
            "insertion_random", "insertion_gaussian", "mask_spread_within", "mask_spread_between",
            "map_with_mask", "map_without_mask", "map_occluded_with_mask",
            "map_occluded_without_mask", "map_occluded_control", "map_clean_control",
            "occluder_mass_ratio")  # fmt: skip
    report = reports["attention"]
    return table(
        ["`evaluate-attention`", f"{report['images']:,} photos"],
        [[f"`{key}`", _share(report[key])] for key in keys if report[key] is not None],
    )


def planted_regions(reports: _Reports) -> str:
    """Which heatmaps point at a region of another person's face."""
    report = reports["planted-regions"]
    kinds = ("eyes", "nose", "mouth", "blob", "all")

    def interval(values: Sequence[float]) -> str:
        return "{:.3f} ({:.3f} to {:.3f})".format(*values)

    rows = [
        [name, *(_share(by_kind[kind][0]) for kind in kinds[:-1]), interval(by_kind["all"]),
         interval(report["located"][name])]
        for name, by_kind in report["auc"].items()
    ]  # fmt: skip
    return table(["heatmap", *kinds, "right part of three"], rows)


def occlusion(reports: _Reports) -> str:
    """Protocol 4, covered queries."""
    details = reports["attention"]["occlusion"]
    (scores,) = (s for s in details["scores"] if s["bits"] == 128)
    ways = [
        way for way in ("mask", "off", "other", "gaussian", "control") if way in scores["occluded"]
    ]
    names = {"mask": "with the mask", "off": "mask off", "other": "another photo's mask",
             "gaussian": "a centred Gaussian", "control": "control"}  # fmt: skip
    rows = [
        [kind, *(_share(scores["by_kind"][kind][way]) for way in ways),
         _share(details["mass_ratio_by_kind"][kind])]
        for kind in details["mass_ratio_by_kind"]
    ]  # fmt: skip
    rows.append(["all", *(_share(scores["occluded"][way]) for way in ways),
                 _share(details["mass_ratio"])])  # fmt: skip
    rows.append(["no cover", *(_share(scores["clean"].get(way, float("nan"))).replace("nan", "–")
                               for way in ways), "–"])  # fmt: skip
    return table(["covered by", *(names[way] for way in ways), "mass ratio"], rows)


def occlusion_gains(reports: _Reports) -> str:
    """What the mask gains at 128 bits, with intervals."""
    details = reports["attention"]["occlusion"]
    (scores,) = (s for s in details["scores"] if s["bits"] == 128)

    def said(name: str) -> str:
        mean, low, high = scores[name]
        return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"

    words = f"At 128 bits the mask gains {said('gain_over_off')} on covered queries over itself off"
    if scores["gain_over_control"] is not None:
        words += (
            f" and {said('gain_over_control')} over the control; on clean queries it loses "
            f"{said('clean_loss')} to the control"
        )
    return words + "."


def ablation(reports: _Reports) -> str:
    """The parts of the paper on the demo network."""
    rows = []
    for row in reports["ablation"]["rows"]:
        cells = []
        for kind in ("clean", "covered"):
            for bits in (64, 128, 256):
                cells.append(_share(row[f"{kind}_{bits}"]))
        loss, low, high = row["covered_128_loss"]
        interval = "–" if loss == low == high == 0 else f"{loss:+.3f} ({low:+.3f} to {high:+.3f})"
        rows.append([row["name"], *cells, interval])
    head = ["network", *(f"{kind}, {bits} bits" for kind in ("clean", "covered")
                         for bits in (64, 128, 256)), "covered, 128 bits: loss"]  # fmt: skip
    return table(head, rows)


def clustering(reports: _Reports) -> str:
    """Faces without names, sorted into people."""
    report = reports["clustering"]
    rows = [
        [str(r["bits"]), f"{_share(r['f'])} ({r['f_ci95'][0]:.3f} to {r['f_ci95'][1]:.3f})",
         _share(r["precision"]), _share(r["recall"]), str(r["radius"])]
        for r in report["results"]
    ]  # fmt: skip
    return table(
        ["bits", "B-cubed F (95% interval)", "precision", "recall", "neighbours differ in at most"],
        rows,
    )


def face_quality(reports: _Reports) -> str:
    """Failed searches when the faces of the lowest scores are discarded."""
    report = reports["face-quality"]
    shares = (0, 0.04, 0.1, 0.2, 0.4)
    rows = []
    for name in ("photos", "photos and copies"):
        failed = dict(zip(report["discard"]["share"], report["discard"][name], strict=True))
        rows.append([name, *(f"{100 * failed[share]:.1f}%" for share in shares)])
    head = [
        "failed searches of",
        "all",
        *(f"without the worst {share:.0%}" for share in shares[1:]),
    ]
    return table(head, rows)


def slices(reports: _Reports) -> str:
    """Protocol 5: corruptions and groups."""
    report = reports["slices"]
    rows = [
        [
            row["kind"].replace("_", " ").replace("grey", "grayscale"),
            f"{row['value']:g}" if row["kind"] not in ("clean", "grey") else "–",
            _share(row["map"]),
        ]
        for row in report["damage"]
    ]
    for row in report["groups"]:
        if row["attribute"] == "skin_luma":
            rows.append(["skin luminance", f"quartile {row['group'] + 1}", _share(row["map"])])
    return table(["query", "value", f"mAP at {report['bits']} bits"], rows)


def speed(reports: _Reports) -> str:
    """Time beside dlib's descriptor."""
    report = reports["bench"]
    rows = [
        [r["what"], f"{r['ours']:.4g} {r['unit']}", f"{r['peer']:.4g} {r['unit']}", r["peer_name"],
         f"{r['ours'] / r['peer']:.3f}"]
        for r in report["rows"]
    ]  # fmt: skip
    machine = report["machine"]
    return f"{machine['processor']}, {machine['threads']} thread.\n\n" + table(
        ["what", "this project", "peer", "", "ratio"], rows
    )


def command_line(reports: _Reports) -> str:
    """Time and memory of a search by the command line."""
    rows = reports["command-line"]["rows"]
    return table(("", "value"), ((row["what"], f"{row['value']:,} {row['unit']}") for row in rows))


def image(reports: _Reports) -> str:
    """Size of the container."""
    report = reports["image"]
    megabytes = {r["what"]: r["value"] for r in report["rows"] if r["unit"] == "MB"}
    parts = ", ".join(f"{what[0].lower()}{what[1:]} {mb:,.0f} MB" for what, mb in megabytes.items())
    return (
        f"Without its base image the container is {sum(megabytes.values()) / 1000:.2f} GB, "
        f"uncompressed: {parts}. Measured by `python -m benchmarks.image_size`, which runs the "
        f"Dockerfile's steps in a fresh environment of Python {report['python']}; "
        f"`python:{report['python']}-slim` comes on top."
    )


def training(_reports: _Reports) -> str:
    """What the shipped checkpoint was trained on."""
    from daah.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(ROOT / "checkpoints" / "demo.safetensors")
    said = checkpoint.training
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    return (
        f"{said['images']:,} faces of {said['people']:,} people; the hash layer was chosen on "
        f"{said['kept_out']['images']:,} faces of {said['kept_out']['people']:,} further people. "
        f"{parameters / 1e6:.1f} million parameters."
    )


def inversion(reports: _Reports) -> str:
    """Success of rebuilt faces, by what was stolen."""
    report = reports["inversion"]
    found = {(r["key"], r["from"], r["bits"]): r for r in report["results"]}
    others = {r["bits"]: r for r in report["another_photo"]}
    unknown = "key, unknown to the attacker"
    rows = []
    for (key, held, bits), row in found.items():
        if key == "no key":
            name = f"{bits} bits" if held == "code" else f"{bits} logits"
            keyed = found[unknown, held, bits]
            cells = [row["type1"], row["type2"], row["type1_at_whole"], row["type2_at_whole"]]
            cells += [keyed["type1"], keyed["type2"]]
            cells += [others[bits]["match"], others[bits]["stranger"]]
            rows.append([name, *map(_percent, cells)])
    decoder = report["decoder"]
    return (
        f"{report['attacked']} validation people; decoder trained on {decoder['faces']:,} faces of "
        f"{decoder['people']:,} other people, {decoder['settings']['spent'] / 60:.0f} minutes of "
        "one core. The system that is attacked compares as many bits as were stolen, or all 256."
        "\n\n"
    ) + table(
        ["stolen", "type I", "type II", "type I, all bits", "type II, all bits",
         "type I, with a key", "type II, with a key", "a real second photo", "a stranger"],
        rows,
    )  # fmt: skip


def properties(reports: _Reports) -> str:
    """What is read off bits."""
    return table(
        ["property", "best single bit", "median bit", "all of 16 bits", "64", "128", "256"],
        [
            [row["property"], _share(row["auc_best_bit"]), _share(row["auc_median_bit"])]
            + [_share(row["auc_of_all"][bits]) for bits in ("16", "64", "128", "256")]
            for row in reports["inversion"]["properties"]
        ],
    )


def protection(reports: _Reports) -> str:
    """What a key protects and costs."""
    report = reports["protection"]
    links = {(r["bits"], r["same_photo"]): r for r in report["unlinkability"]["d_sys"]}
    renewed = {row["bits"]: row for row in report["renewability"]}
    rows = []
    for row in report["accuracy"]:
        bits = row["bits"]
        if (bits, False) not in links:
            continue
        own, same = links[bits, False], links[bits, True]
        rows.append(
            [str(bits)]
            + [_share(row[name]) for name in ("map", "map_keyed", "map_rotated")]
            + [_percent(row["fmr"]), _percent(row["fmr_keyed"])]
            + [_percent(row["fnmr"]), _percent(row["fnmr_keyed"])]
            + [_share(row["first_by_logits"]), _share(row["first_by_logits_keyed"])]
            + [_share(own["none, codes"]), _share(own["keys, codes"]), _share(same["keys, codes"])]
            + [_share(own["keys known, codes"])]
            + [_percent(renewed[bits]["same_photo_old_to_new"])]
        )
    head = [
        "bits", "mAP", "with a key", "with a rotation", "FMR", "with a key", "FNMR", "with a key",
        "first by logits", "with a key", "D_sys", "two keys", "two keys, same photo", "keys known",
        "bits changed by a new key",
    ]  # fmt: skip
    known = [
        [str(row["photos"]), _percent(row["enrolled"]), _percent(row["other"])]
        for row in report["known_photos"]
    ]
    return (
        f"{report['data']}: {report['images']:,} photos of {report['people']:,} people. FMR and "
        "FNMR are false match and false non-match rate at the shipped threshold. D_sys "
        "(Gomez-Barrero et al., 2018) says how well codes of two galleries are linked: 0 is never, "
        "1 always. First by logits: the right person of all, each enrolled by all photos but one, "
        "is first by the stored numbers.\n\n"
        + table(head, rows)
        + "\n\nShare of the arrangement that an attacker finds by photos of people in the "
        "gallery:\n\n"
        + table(["photos known", "the enrolled photos", "other photos of the same people"], known)
    )


BLOCKS: dict[str, Callable[[_Reports], str]] = comparison_findings.BLOCKS | {
    block.__name__: block
    for block in (
        accuracy, accuracy_orl, accuracy_short, searches, identification, identification_data,
        equal_bytes, equal_bytes_data, equal_bytes_words, scale, scale_beyond, cascade,
        cascade_words, identification_sizes, identification_slices, identification_words,
        attention, planted_regions, occlusion, occlusion_gains, ablation, clustering, face_quality,
        slices, speed, training, command_line, image, inversion, properties, protection,
    )
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every document."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
