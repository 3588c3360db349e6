"""Figures show the numbers they were given, in a style that everybody can read."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from daah import metrics, plots
from daah.plots import RetrievalExample, Series

RNG = np.random.default_rng(0)
GENUINE, IMPOSTOR = RNG.binomial(64, 0.2, 500), RNG.binomial(64, 0.5, 5000)
FRACTIONS = np.arange(1, 10) / 10


def example(right: list[bool]) -> RetrievalExample:
    face = np.full((224, 224, 3), 90, np.uint8)
    return RetrievalExample(face, [face] * len(right), right, list(range(len(right))))


FIGURES = {
    "accuracy": lambda: plots.accuracy_by_length(
        {"ours": Series([16, 64], [0.3, 0.7], [0.2, 0.6], [0.4, 0.8])},
        {"ITQ": Series([24, 64], [0.4, 0.6])},
        {"float": 0.96},
    ),
    "roc": lambda: plots.roc_curves({"64 bits": metrics.roc(GENUINE, IMPOSTOR)}),
    "histogram": lambda: plots.distance_histogram(GENUINE, IMPOSTOR, 64, threshold=18),
    "fidelity": lambda: plots.fidelity(
        {"attention": Series(FRACTIONS, FRACTIONS / 2)},
        {"attention": Series(FRACTIONS, 0.4 - FRACTIONS / 4)},
        blurred=0.45,
    ),
    "slices": lambda: plots.slices(
        {f"damage {i}": {"mAP": Series([1, 2], [0.7, 0.5])} for i in range(4)}, {"mAP": 0.8}
    ),
    "learning": lambda: plots.learning_curve(
        [
            {"epoch": 1, "loss": 3.0, "map_64": 0.4, "mask_mean": 0.5, "seconds": 9},
            {"epoch": 2, "loss": 2.0, "map_64": 0.5, "plain": 1.0},
        ],
        "map_64",
    ),
    "precision_recall": lambda: plots.precision_recall_curves(
        {
            "64": metrics.precision_recall(
                metrics.tie_groups(RNG.integers(0, 9, (5, 40)), RNG.random((5, 40)) < 0.3)
            )
        }
    ),
    "reliability": lambda: plots.reliability_diagram(
        {"64 bits": metrics.reliability_bins(np.array([0.2, 0.9]), np.array([False, True]))}
    ),
    "identification": lambda: plots.identification_curves(
        {"64 bits": metrics.identification_rates(GENUINE, np.ones(500), IMPOSTOR)},
        {"64 bits": (0.1, 0.3)},
        {"9 people": Series([0.01, 0.1, 1], [0.5, 0.3, 0.1], [0.4, 0.2, 0.05], [0.6, 0.4, 0.2])},
        "by people",
    ),
    "quality": lambda: plots.quality_curves(
        {"photos": Series([0, 0.1], [0.3, 0.2])}, Series([0.1, 0.9], [0.2, 0.8])
    ),
    "retrieval": lambda: plots.retrieval_page([example([True, False]), example([True])], "Found"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_saved_and_has_something_on_it(name, tmp_path):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    plots.save_figure(figure, tmp_path / "figure.png")
    pixels = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    background = pixels[0, 0]
    assert (background > 240).all()
    assert (np.abs(pixels.astype(int) - background).sum(-1) > 60).mean() > 0.005


def test_lines_carry_the_values_given():
    axes = FIGURES["accuracy"]().axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["ours"].get_ydata() == pytest.approx([0.3, 0.7])
    assert lines["ITQ"].get_xdata() == pytest.approx([24, 64])
    assert lines["ITQ"].get_linestyle() == "--"
    assert set(lines["float"].get_ydata()) == {0.96}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["16", "24", "64"]


def test_learning_curve_parts_losses_from_scores_and_leaves_gaps_out():
    left, right = FIGURES["learning"]().axes
    losses = {line.get_label(): line for line in left.lines}
    assert set(losses) == {"loss", "plain"}
    assert list(losses["plain"].get_xdata()) == [2]
    assert [line.get_label() for line in right.lines] == ["map_64"]


def test_learning_curve_counts_by_what_it_is_told():
    rows = [
        {"step": 50, "mask": 0.9, "trunk": 2.0},
        {"step": 100, "trunk": 1.0},
        {"step": 101, "map_64": 0.5},
    ]
    left, right = plots.learning_curve(rows, "map_64", "step").axes
    (line,) = left.lines
    assert (line.get_label(), list(line.get_xdata())) == ("trunk", [50, 100])
    assert left.get_xlabel() == right.get_xlabel() == "step"
    assert list(right.lines[0].get_xdata()) == [101]


def test_histogram_shares_sum_to_one_for_each_kind():
    axes = FIGURES["histogram"]().axes[0]
    totals = [patch.get_data().values.sum() for patch in axes.patches]
    assert totals == pytest.approx([1.0] * len(totals))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "same person up to 18" in labels


def test_right_and_wrong_are_said_in_words_too():
    titles = [axes.get_title(loc="left") for axes in FIGURES["retrieval"]().axes]
    assert titles.count("query") == 2
    assert {"0 right", "1 wrong"} <= set(titles)


def test_a_page_needs_an_example():
    with pytest.raises(ValueError, match="at least one"):
        plots.retrieval_page([])


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_text_stands_out_from_the_background():
    figure = FIGURES["roc"]()
    paper = luminance(mpl.colors.to_hex(figure.get_facecolor()))
    ink = luminance(figure.axes[0].xaxis.label.get_color())
    assert (paper + 0.05) / (ink + 0.05) > 7


def test_the_style_does_not_leak_into_other_figures():
    before = dict(mpl.rcParams)
    FIGURES["roc"]()
    assert dict(mpl.rcParams) == before


def test_svg_files_are_the_same_every_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        plots.save_figure(FIGURES["reliability"](), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_page_of_masks_has_a_named_row_a_network() -> None:
    faces = [np.zeros((8, 8, 3), np.uint8)] * 3
    figure = plots.mask_page({"face": faces, "mask": faces})
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["face", "mask"]
    assert all(len(axes.images) == 1 for axes in figure.axes)
    with pytest.raises(ValueError, match="one length"):
        plots.mask_page({"face": faces, "mask": faces[:2]})
