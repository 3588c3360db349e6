"""Figures of the results in one style. Each function takes numbers and returns a Figure.

Colours are those of Okabe and Ito, which are distinguishable with any colour vision; every series
also has its own marker or line style. The background is a light neutral, so that a figure reads the
same on a white page and on a dark one. Nothing here touches pyplot's global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from daah import metrics

PEER, BAD, GOOD = "#D55E00", "#D55E00", "#009E73"
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#666666")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_INK, _PAPER, _FAINT = "#222222", "#FAFAF7", "#D9D9D3"

#: What every figure is drawn under, those of the benchmarks' own reports too.
STYLE = {
    "figure.facecolor": _PAPER,
    "axes.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


@dataclass(frozen=True, eq=False)
class Series:
    """One line of a plot.

    Attributes:
        x: (T,) positions.
        y: (T,) values.
        low: (T,) lower ends of an interval around y; None without one.
        high: (T,) upper ends of that interval; None without one.
    """

    x: np.ndarray | Sequence[float]
    y: np.ndarray | Sequence[float]
    low: np.ndarray | Sequence[float] | None = None
    high: np.ndarray | Sequence[float] | None = None


@dataclass(frozen=True, eq=False)
class RetrievalExample:
    """One query face with the faces that were retrieved.

    Attributes:
        query: (S, S, 3) uint8 RGB.
        found: k faces (S, S, 3) uint8 RGB, nearest first.
        right: k booleans, whether each has the query's identity.
        distances: k Hamming distances in bits.
    """

    query: np.ndarray
    found: Sequence[np.ndarray]
    right: Sequence[bool]
    distances: Sequence[int]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure at 150 dots per inch.

    The output is deterministic: it contains neither a date nor random names.

    Args:
        figure: the figure.
        path: the file; its folder must exist, its suffix selects the format.
    """
    dateless = {"Date": None} if Path(path).suffix == ".svg" else None
    with mpl.rc_context({"svg.hashsalt": "daah"}):
        figure.savefig(path, dpi=150, bbox_inches="tight", metadata=dateless)


@mpl.rc_context(STYLE)
def accuracy_by_length(
    ours: Mapping[str, Series],
    peers: Mapping[str, Series],
    floats: Mapping[str, float],
    measure: str = "mAP",
) -> Figure:
    """Accuracy by code length: ours solid, peers dashed, float embeddings as horizontal lines.

    Args:
        ours: series by name; x is the code length in bits, y the score in [0, 1].
        peers: the same for the methods that are compared with.
        floats: score of each float embedding by its name.
        measure: name of the score.

    Returns:
        The figure.
    """
    figure, axes = _figure(6.4, 4.2)
    for i, (name, series) in enumerate(ours.items()):
        _line(axes, series, name, i)
    for i, (name, series) in enumerate(peers.items(), len(ours)):
        _line(axes, series, name, i, linestyle="--")
    for name, score in floats.items():
        axes.axhline(score, color=_INK, linewidth=1.2, linestyle=":", label=name)
    lengths = sorted({int(x) for series in [*ours.values(), *peers.values()] for x in series.x})
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(length) for length in lengths], minor=False)
    axes.minorticks_off()
    _label(axes, "code length in bits", measure, f"{measure} by code length")
    axes.set_ylim(None, 1.0)
    _legend(axes)
    return figure


@mpl.rc_context(STYLE)
def roc_curves(curves: Mapping[str, metrics.Roc], far: Sequence[float] = (1e-3, 1e-2)) -> Figure:
    """True accept rate against false accept rate.

    Args:
        curves: ROC curves by name.
        far: false accept rates to mark.

    Returns:
        The figure; false accept rates are on a logarithmic scale.
    """
    figure, axes = _figure(6.0, 4.2)
    for i, (name, curve) in enumerate(curves.items()):
        shown = curve.far > 0
        # Between two thresholds there is no rate to read off, so the curve goes in steps.
        axes.step(
            curve.far[shown],
            curve.tar[shown],
            where="post",
            color=CYCLE[i % len(CYCLE)],
            linestyle=("-", "--", "-.", ":")[i % 4],
            label=name,
        )
    for rate in far:
        axes.axvline(rate, color=_INK, linewidth=0.9, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(1e-5, 1)
    axes.set_ylim(0, 1.01)
    _label(axes, "false accept rate", "true accept rate", "Verification of all pairs")
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(STYLE)
def distance_histogram(
    genuine: np.ndarray, impostor: np.ndarray, bits: int, threshold: int | None = None
) -> Figure:
    """Histograms of the Hamming distances of genuine and impostor pairs, each normalised to sum 1.

    Args:
        genuine: distances in bits of same-person pairs, any shape.
        impostor: distances in bits of different-person pairs, any shape.
        bits: code length.
        threshold: largest distance that is accepted, drawn as a line; None draws none.

    Returns:
        The figure.
    """
    figure, axes = _figure(6.4, 3.8)
    edges = np.arange(bits + 2) - 0.5
    for distances, name, colour, hatch in (
        (genuine, "same person", GOOD, None),
        (impostor, "different people", PEER, "///"),
    ):
        share = np.bincount(np.ravel(distances), minlength=bits + 1) / np.size(distances)
        axes.stairs(share, edges, fill=True, alpha=0.35, color=colour, hatch=hatch)
        axes.stairs(share, edges, color=colour, linewidth=1.6, label=name)
    if threshold is not None:
        axes.axvline(
            threshold + 0.5,
            color=_INK,
            linestyle="--",
            linewidth=1.4,
            label=f"same person up to {threshold}" if threshold >= 0 else "nobody counts as same",
        )
    axes.set_xlim(-0.5, bits + 0.5)
    _label(axes, f"distance in bits of {bits}", "share of pairs", "How far apart pairs are")
    axes.legend(loc="upper right")
    return figure


@mpl.rc_context(STYLE)
def fidelity(
    deletion: Mapping[str, Series], insertion: Mapping[str, Series], blurred: float
) -> Figure:
    """Deletion and insertion curves side by side, one line per pixel order.

    Args:
        deletion: series by pixel order; x is the share of pixels blurred, y the normalised Hamming
            distance to the original code.
        insertion: the same with x the share of pixels kept sharp.
        blurred: distance of the fully blurred face, where deletion ends and insertion begins.

    Returns:
        The figure.
    """
    figure, (left, right) = _figure(9.6, 4.0, columns=2)
    for axes, curves in ((left, deletion), (right, insertion)):
        for i, (name, series) in enumerate(curves.items()):
            _line(axes, series, name, i)
        axes.axhline(blurred, color=_INK, linewidth=1.0, linestyle=":", label="all blurred")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(0, None)
    _label(left, "pixels blurred", "share of bits changed", "Deletion: higher is better")
    _label(right, "pixels kept sharp", "", "Insertion: lower is better")
    left.legend()
    return figure


@mpl.rc_context(STYLE)
def slices(panels: Mapping[str, Mapping[str, Series]], clean: Mapping[str, float]) -> Figure:
    """Scores against severity, one panel per corruption or attribute.

    Args:
        panels: label of the x axis to series by measure.
        clean: score of the uncorrupted faces by measure, drawn as a horizontal line.

    Returns:
        The figure.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = _figure(3.6 * columns, 3.0 * rows, rows=rows, columns=columns)
    grid = np.ravel(grid)
    measures = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for axes, (label, lines) in zip(grid, panels.items(), strict=False):
        for name, series in lines.items():
            _line(axes, series, name, measures.index(name))
            if name in clean:
                colour = CYCLE[measures.index(name) % len(CYCLE)]
                axes.axhline(clean[name], color=colour, linewidth=1.0, linestyle=":")
        axes.set_ylim(0, 1.02)
        _label(axes, label, "", "")
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    grid[0].legend(loc="lower right")
    return figure


@mpl.rc_context(STYLE)
def learning_curve(
    history: Sequence[Mapping[str, float]], score: str, axis: str = "epoch"
) -> Figure:
    """Losses and validation scores by epoch, or by another count.

    Keys that begin with "map" or "rank" are drawn with the score, keys that begin with "mask" or
    "seconds" are left out, and all others are losses. A value that is missing in an epoch is left
    out of its line.

    Args:
        history: one mapping per epoch, with `axis`, `score` and any other figures.
        score: key of the validation score.
        axis: key and label of the horizontal axis.

    Returns:
        The figure.
    """
    figure, (left, right) = _figure(9.6, 3.8, columns=2)
    names = list(dict.fromkeys(key for row in history for key in row))
    scores = [score, *(n for n in names if n.startswith(("map", "rank")) and n != score)]
    losses = [
        name
        for name in names
        if name not in scores and not name.startswith((axis, "mask", "seconds"))
    ]
    for axes, shown in ((left, losses), (right, scores)):
        for i, name in enumerate(shown):
            _line(axes, _column(history, name, axis), name, i)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if shown:
            axes.legend()
    _label(left, axis, "loss", "Training")
    _label(right, axis, "score", "Validation")
    return figure


@mpl.rc_context(STYLE)
def precision_recall_curves(curves: Mapping[str, metrics.PrecisionRecall]) -> Figure:
    """Precision against recall of the rows within each distance, one line per representation.

    Args:
        curves: curves by name.

    Returns:
        The figure.
    """
    figure, axes = _figure(5.6, 4.2)
    for i, (name, curve) in enumerate(curves.items()):
        axes.plot(
            curve.recall,
            curve.precision,
            color=CYCLE[i % len(CYCLE)],
            linestyle=("-", "--", "-.", ":")[i % 4],
            label=name,
        )
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.01)
    _label(axes, "recall", "precision", "Everything within a distance")
    _legend(axes)
    return figure


@mpl.rc_context(STYLE)
def precision_at_curves(curves: Mapping[str, Series]) -> Figure:
    """Precision among the first k results, one line per method.

    Args:
        curves: series by name; x is k, y the precision in [0, 1].

    Returns:
        The figure.
    """
    figure, axes = _figure(5.6, 4.2)
    for i, (name, series) in enumerate(curves.items()):
        _line(axes, series, name, i, linestyle=("-", "--", "-.", ":")[i % 4])
    axes.set_ylim(0, 1.01)
    _label(axes, "number of results", "precision", "Precision among the first results")
    _legend(axes)
    return figure


@mpl.rc_context(STYLE)
def reliability_diagram(reliabilities: Mapping[str, metrics.Reliability]) -> Figure:
    """Reliability diagram: observed frequency against predicted probability.

    Args:
        reliabilities: binned probabilities by name.

    Returns:
        The figure; a calibrated model is on the diagonal.
    """
    figure, axes = _figure(5.0, 4.6)
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=1.0, linestyle=":")
    for i, (name, bins) in enumerate(reliabilities.items()):
        label = f"{name} (error {bins.error:.3f})"
        _line(axes, Series(bins.confidence, bins.accuracy), label, i)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    _label(axes, "stated probability", "share that came true", "Does the probability hold?")
    axes.legend(loc="upper left")
    return figure


@mpl.rc_context(STYLE)
def identification_curves(
    curves: Mapping[str, metrics.Identification],
    rules: Mapping[str, tuple[float, float]],
    sizes: Mapping[str, Series],
    title: str,
) -> Figure:
    """DET curves of open-set identification: FNIR against FPIR, both on logarithmic scales.

    Args:
        curves: rates at every threshold by name.
        rules: (fpir, fnir) of the shipped decision rule by name, drawn as a marker. A rate of zero
            is drawn at the edge, here and in the curves.
        sizes: FNIR by FPIR with intervals, by name, for the second panel.
        title: of the second panel.

    Returns:
        The figure.
    """
    figure, (left, right) = _figure(11.0, 4.6, columns=2)
    edge = 0.5 * min(c.fpir[c.fpir > 0].min(initial=1.0) for c in curves.values())
    rates = np.concatenate([*(c.fnir for c in curves.values()), *(s.y for s in sizes.values())])
    floor = 0.8 * rates[rates > 0].min(initial=1.0)
    for i, (name, curve) in enumerate(curves.items()):
        colour, line = CYCLE[i % len(CYCLE)], ("-", "--")[i // len(CYCLE) % 2]
        shown = curve.fpir > 0
        left.step(
            curve.fpir[shown], np.maximum(curve.fnir[shown], floor), where="post", color=colour,
            linestyle=line, label=name,
        )  # fmt: skip
        if name in rules:
            fpir, fnir = rules[name]
            left.plot(max(fpir, edge), max(fnir, floor), color=colour, marker="o", markersize=8,
                      markeredgecolor=_INK, clip_on=False, zorder=3)  # fmt: skip
    left.set_xlim(edge, 1)
    for i, (name, series) in enumerate(sizes.items()):
        lines = (series.y, series.low, series.high)
        shown = [None if line is None else np.maximum(line, floor) for line in lines]
        _line(right, Series(series.x, *shown), name, i)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(floor, 1.05)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
            axis.set_minor_formatter(NullFormatter())
        axes.legend(fontsize=8, loc="lower left")
    x, y = "false positive identification rate", "false negative identification rate"
    _label(left, x, y, "By code length; dots: what the app decides")
    _label(right, x, "", title)
    return figure


@mpl.rc_context(STYLE)
def linkability_curves(systems: Mapping[str, metrics.Linkability]) -> Figure:
    """Scores across galleries, and how far each score tells that two templates are of one person.

    Args:
        systems: of `metrics.linkability`, by name.

    Returns:
        The figure, a panel per system.
    """
    figure, panels = _figure(3.6 * len(systems), 3.4, columns=len(systems))
    for axes, (name, found) in zip(np.atleast_1d(panels), systems.items(), strict=True):
        for i, (kind, share) in enumerate(
            (("one person", found.mated), ("different people", found.non_mated))
        ):
            axes.step(found.score, share, where="mid", color=CYCLE[i], label=kind)
        axes.set_ylim(0, None)
        other = axes.twinx()
        other.step(found.score, found.local, where="mid", color=_INK, linestyle=":", label="D")
        other.set_ylim(0, 1.02)
        _label(axes, "bits that differ", "share of pairs", f"{name}\nD_sys = {found.system:.3f}")
        lines = [*axes.get_lines(), *other.get_lines()]
        axes.legend(lines, [line.get_label() for line in lines], fontsize=7)
    return figure


@mpl.rc_context(STYLE)
def quality_curves(discard: Mapping[str, Series], reliability: Series) -> Figure:
    """Errors against the share of searches that is discarded, and success against the score.

    Args:
        discard: share of failed searches among those that are left, by the share that is discarded
            for its low quality; by name.
        reliability: share of searches that succeed, by their score.

    Returns:
        The figure; a score that is right is on the diagonal of its second panel.
    """
    figure, (left, right) = _figure(9.6, 4.0, columns=2)
    for i, (name, series) in enumerate(discard.items()):
        _line(left, series, name, i)
    left.set_ylim(0, None)
    _label(left, "share discarded, worst first", "searches that fail", "Error versus discard")
    left.legend()
    right.plot([0, 1], [0, 1], color=_INK, linewidth=1.0, linestyle=":")
    _line(right, reliability, "", 0)
    right.set_xlim(0, 1)
    right.set_ylim(0, 1)
    _label(right, "quality score", "searches that succeed", "Does the score hold?")
    return figure


@mpl.rc_context(STYLE)
def retrieval_page(examples: Sequence[RetrievalExample], title: str = "") -> Figure:
    """A page of retrieval examples, one row per query: the query, then what was retrieved.

    Each retrieved face is labelled with its distance and "right" or "wrong".

    Args:
        examples: the rows.
        title: title of the page.

    Returns:
        The figure.

    Raises:
        ValueError: there are no examples.
    """
    if not examples:
        raise ValueError("retrieval_page: expected at least one example")
    most = max(len(example.found) for example in examples)
    figure = Figure(figsize=(1.15 * (most + 1.3), 1.4 * len(examples)), layout="constrained")
    widths = [1.25] + [1.0] * most
    grid = figure.subplots(len(examples), most + 1, squeeze=False, width_ratios=widths)
    for row, example in zip(grid, examples, strict=True):
        for axes in row:
            axes.set_axis_off()
        row[0].imshow(example.query)
        row[0].set_title("query", fontsize=8)
        for axes, face, right, distance in zip(
            row[1:], example.found, example.right, example.distances, strict=False
        ):
            axes.imshow(face)
            axes.set_title(
                f"{distance} {'right' if right else 'wrong'}",
                fontsize=8,
                color=GOOD if right else BAD,
            )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def mask_page(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """The same faces in several rows, each row under its name.

    Args:
        rows: images (S, S, 3) uint8 of each row by its name; all rows have the same length.

    Returns:
        The figure.

    Raises:
        ValueError: there are no rows, or they differ in length.
    """
    lengths = {len(pictures) for pictures in rows.values()}
    if len(lengths) != 1:
        raise ValueError(f"mask_page: expected rows of one length, got {sorted(lengths)}")
    (columns,) = lengths
    figure = Figure(figsize=(1.2 * columns + 1.2, 1.25 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (name, pictures) in zip(grid, rows.items(), strict=True):
        for place, picture in zip(axes, pictures, strict=True):
            place.imshow(picture)
            place.set_xticks([])
            place.set_yticks([])
            place.spines[:].set_visible(False)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def _figure(width: float, height: float, rows: int = 1, columns: int = 1):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns)


def _line(axes: Axes, series: Series, name: str, i: int, linestyle: str = "-") -> None:
    colour = CYCLE[i % len(CYCLE)]
    axes.plot(
        series.x,
        series.y,
        color=colour,
        # The eighth line has the first one's colour, and so needs another marker.
        marker=_MARKERS[(i + i // len(CYCLE)) % len(_MARKERS)],
        linestyle=linestyle,
        label=name,
    )
    if series.low is not None and series.high is not None:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)


def _legend(axes: Axes) -> None:
    """The legend; of many lines it stands beside axes that are as tall as it."""
    many = len(axes.get_legend_handles_labels()[0])
    if many <= 8:
        axes.legend()
        return
    width, height = axes.figure.get_size_inches()
    axes.figure.set_size_inches(width + 1.5, max(height, 0.25 * many))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _label(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)


def _column(history: Sequence[Mapping[str, float]], name: str, axis: str) -> Series:
    rows = [(row[axis], row[name]) for row in history if row.get(name) is not None]
    return Series([place for place, _ in rows], [value for _, value in rows])
