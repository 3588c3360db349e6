"""DET curves of a report of open-set identification."""

from __future__ import annotations

from matplotlib.figure import Figure

from daah import plots
from daah.evaluation.open_set import GRID, IdentificationReport


def det_figure(report: IdentificationReport) -> Figure:
    """DET curves by code length, and by the number of people at the longest code.

    People are enrolled by one photo and compared by Hamming distance.

    Args:
        report: the report.

    Returns:
        The figure, with what the app decides marked on the curves.
    """
    shown = {
        scores.bits: scores
        for scores in report.results
        if scores.distance == "hamming" and scores.template == "one"
    }
    longest = max(shown)
    grid = [place for place, level in enumerate(GRID) if level * report.non_mated >= 1]
    by_people = {
        f"{size} people": plots.Series(
            [GRID[place] for place in grid],
            *([values[place] for place in grid]
              for values in (rates.fnir, rates.fnir_low, rates.fnir_high)),
        )
        for size, rates in shown[longest].by_people.items()
    }  # fmt: skip
    return plots.identification_curves(
        {f"{bits} bits": scores.curve for bits, scores in shown.items()},
        {
            f"{bits} bits": (scores.rule.fpir, scores.rule.fnir)
            for bits, scores in shown.items()
            if scores.rule is not None
        },
        by_people,
        f"{longest} bits, by people enrolled; bands are 95% intervals",
    )
