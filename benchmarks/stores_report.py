"""What `benchmarks.stores` measured, as Markdown and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from daah import plots


def tables(report: dict[str, object]) -> str:
    """The report as Markdown."""
    about = report["machine"]
    parts = [
        "# Stores, measured",
        "Made by `python -m benchmarks.stores --out docs/results/stores`, whose docstring says "
        f"how. One core of {about['cores']}, {about['processor']}, {about['memory_gb']} GB; "
        f"faiss {about['faiss']}, numpy {about['numpy']}, SQLite {about['sqlite']}. "
        f"{report['matches']} matches a query.",
        "![Time of one query by size of the gallery](stores.png)",
    ]
    rows = report["sqlite"]
    names = {
        "faiss": "bare faiss",
        "search": "search",
        "search, re-ranked": "re-ranked",
        "search by half the bits": "by half the bits",
        "search of one person": "one person",
        "numpy": "numpy",
        "face_recognition's floats": "128 floats",
        "reading every byte once": "reading once",
    }
    parts += [
        "## One query, milliseconds",
        table(
            ["faces", "bits", *names.values(), "search / faiss", "re-ranked / faiss"],
            [
                [
                    *(f"{row['size']:,}", row["bits"]),
                    *(row["single_ms"].get(name, "") for name in names),
                    *row["quotient_to_faiss"].values(),
                ]
                for row in rows
            ],
        ),
        "## A hundred queries at once, queries a second",
        table(
            ["faces", "bits", "bare faiss", "search", "re-ranked"],
            [
                [f"{row['size']:,}", row["bits"], *row["batch_queries_a_second"].values()]
                for row in rows
            ],
        ),
        "## Memory (MB) and disk (bytes a face)",
        table(
            [
                *("faces", "bits", "interpreter", "opened and searched", "filters used"),
                *("twice the codes + 200", "database", "packed codes"),
            ],
            [
                [
                    *(f"{row['size']:,}", row["bits"], row["memory"]["interpreter_mb"]),
                    *(row["memory"]["opened_and_searched_mb"], row["memory"]["with_filters_mb"]),
                    *(row["memory"]["limit_mb"], row["disk_bytes_a_face"]),
                    row["packed_file_bytes_a_face"],
                ]
                for row in rows
            ],
        ),
        "## Opening (seconds) and adding (faces a second)",
        table(
            [
                *("faces", "bits", "opening", "without packed codes", "first filter"),
                *("adding 10,000 at once", "the same by processor time", "one by one"),
                "cores used by others",
            ],
            [
                [
                    *(f"{row['size']:,}", row["bits"], row["open"]["seconds"]),
                    *(row["open"]["seconds_without_packed_codes"],),
                    row["first_filtered_search_seconds"],
                    *row["added_a_second"].values(),
                    row["cores_used_by_others"],
                ]
                for row in rows
            ],
        ),
    ]
    if report["milvus"]:
        parts += [
            f"## Milvus {report['milvus'][0]['version']} on the same machine",
            "Milliseconds of one query, median and fastest block; memory of the server.",
            table(
                [
                    *("faces", "bits", "search", "fastest", "re-ranked", "fastest", "strong"),
                    *("100 at once, queries a second", "re-ranked", "added a second", "MB"),
                    "cores used by others",
                ],
                [
                    [
                        *(f"{row['size']:,}", row["bits"]),
                        row["single_ms"]["search"],
                        row["single_ms_fastest_block"]["search"],
                        row["single_ms"]["search, re-ranked"],
                        row["single_ms_fastest_block"]["search, re-ranked"],
                        row["single_ms"]["search, strong"],
                        *row["batch_queries_a_second"].values(),
                        *(row["added_a_second"], row["server_mb"], row["cores_used_by_others"]),
                    ]
                    for row in report["milvus"]
                ],
            ),
            "Share of clusters that BIN_IVF_FLAT visits, and the share of the exact 10 nearest "
            "that it then finds:",
            table(
                ["faces", *report["milvus"][0]["clusters_by_share_visited"]],
                [
                    [
                        f"{row['size']:,}",
                        *(
                            found["recall_at_10"]
                            for found in row["clusters_by_share_visited"].values()
                        ),
                    ]
                    for row in report["milvus"]
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Markdown, numbers to the right."""
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def plot(report: dict[str, object], path: Path) -> None:
    """Time of one query by size of the gallery."""
    styles = {
        "search, re-ranked": ("daah, SQLite store, re-ranked", plots.CYCLE[0], "o", "-"),
        "faiss": ("bare faiss IndexBinaryFlat", plots.CYCLE[1], "s", "-"),
        "reading every byte once": ("reading every byte once", plots.CYCLE[6], "", ":"),
        "numpy": ("numpy", plots.CYCLE[2], "^", "-"),
        "face_recognition's floats": ("128 floats a face by numpy", plots.CYCLE[3], "D", "-"),
    }
    widths = sorted({row["bits"] for row in report["sqlite"]})
    with mpl.rc_context(plots.STYLE):
        figure = Figure(figsize=(5.2 * len(widths), 4.4), layout="constrained")
        panels = figure.subplots(1, len(widths), sharey=True, squeeze=False)[0]
        for axes, bits in zip(panels, widths, strict=True):
            rows = [row for row in report["sqlite"] if row["bits"] == bits]
            for name, (label, colour, marker, line) in styles.items():
                points = [(r["size"], r["single_ms"][name]) for r in rows if name in r["single_ms"]]
                if points:
                    axes.plot(
                        *zip(*points, strict=True), line, label=label, color=colour, marker=marker
                    )
            for name, marker in (("search", "P"), ("search, re-ranked", "X")):
                rows_ = [r for r in report.get("milvus", []) if r["bits"] == bits]
                points = [(r["size"], r["single_ms"][name]) for r in rows_]
                if points:
                    label = f"Milvus {rows_[0]['version']}, {name}"
                    x, y = zip(*points, strict=True)
                    axes.plot(x, y, "--", label=label, color=plots.CYCLE[4], marker=marker)
            axes.set(xscale="log", yscale="log", xlabel="faces in the gallery")
            axes.set_title(f"{bits} bits")
        panels[0].set_ylabel("one query, milliseconds")
        lines = panels[0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside lower center", ncols=4, fontsize=8)
        plots.save_figure(figure, path)
