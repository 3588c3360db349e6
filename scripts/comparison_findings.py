"""What the comparison of hashing methods found, in tables and sentences made of its reports."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scripts.markdown import table

Report = Mapping[str, Any]
Reports = Any  # anything that gives a report by its name

#: Reports of twelve epochs, and of four.
_WHOLE, _SHORT = "compare", "four-epochs/compare"

#: Code length that has several seeds.
_BITS = 48

#: Years of the methods that the paper does not compare with.
_LATER = {
    "GreedyHash": 2018, "CSQ": 2020, "DPN": 2020, "DAGH": 2020, "BihalfNet": 2021, "DCDH": 2021,
    "OrthoHash": 2021,
}  # fmt: skip


def comparison_data(reports: Reports) -> str:
    """How many people and faces, and how small the budget is."""
    report = reports[_WHOLE]
    data, budget = report["data"], report["settings"]["budget"]
    jobs = sum(len(report[part]) for part in ("rows", "features", "ablation", "tuning", "starts"))
    return (
        f"{data['people']} people, {data['database']:,} database images, {data['queries']} "
        f"queries; {budget['epochs']} epochs after an initialisation of "
        f"{report['settings']['start_epochs']}; {jobs} runs."
    )


def comparison_ranking(reports: Reports) -> str:
    """Every method at the code length that has several seeds, best first."""
    found = _by_method(reports[_WHOLE]["rows"], _BITS)
    rows = [
        [
            f"{name} ({_LATER[name]})" if name in _LATER else name,
            _spread(runs),
            _spread(runs, "precision_radius2"),
            f"{statistics.mean(run['train_seconds'] for run in runs):.0f}",
        ]
        for name, runs in sorted(found.items(), key=lambda item: -_mean(item[1]))
    ]
    return table(
        ["method", f"mAP, {_BITS} bits", "precision within two bits", "training, CPU s"], rows
    )


def comparison_leaders(reports: Reports) -> str:
    """Who leads at each length, and where DDAH stands among all and among those of the paper."""
    rows = reports[_WHOLE]["rows"]
    said = []
    for bits in sorted({row["bits"] for row in rows}):
        means = {name: _mean(runs) for name, runs in _by_method(rows, bits).items()}
        order = sorted(means, key=means.get, reverse=True)
        cited = [name for name in order if name not in _LATER]
        seeds = len(_by_method(rows, bits)["DDAH"])
        said.append([
            str(bits), str(seeds),
            ", ".join(f"{name} {means[name]:.3f}" for name in order[:3]),
            f"{means['DDAH']:.3f}", str(order.index("DDAH") + 1), str(cited.index("DDAH") + 1),
        ])  # fmt: skip
    return table(
        ["bits", "seeds", "best three, mAP", "DDAH, mAP", f"place among all {len(order)}",
         f"place among the {len(cited)} of the paper"],
        said,
    )  # fmt: skip


def comparison_ablation(reports: Reports) -> str:
    """DDAH without each of its parts."""
    report = reports[_WHOLE]
    by_variant: dict[str, list[Report]] = {
        "complete": _by_method(report["rows"], _BITS)["DDAH"],
    }
    for row in report["ablation"]:
        by_variant.setdefault(row["variant"], []).append(row)
    return table(
        ["DDAH", f"mAP, {_BITS} bits", "training, CPU s"],
        (
            [name, _spread(runs), f"{statistics.mean(r['train_seconds'] for r in runs):.0f}"]
            for name, runs in by_variant.items()
        ),
    )


def comparison_budget(reports: Reports) -> str:
    """The same methods with a smaller budget."""
    short, whole = (_by_method(reports[name]["rows"], _BITS) for name in (_SHORT, _WHOLE))
    epochs = reports[_SHORT]["settings"]["budget"]["epochs"]
    more = reports[_WHOLE]["settings"]["budget"]["epochs"]
    return table(
        ["method", f"mAP, {epochs} epochs", f"{more} epochs"],
        (
            [name, _spread(runs), _spread(whole[name])]
            for name, runs in sorted(short.items(), key=lambda item: -_mean(item[1]))
        ),
    )


def comparison_features(reports: Reports) -> str:
    """What shallow methods reach on other features."""
    rows = reports[_WHOLE]["features"]
    lengths = (12, _BITS)
    found = {(r["method"], r["feature"], r["bits"]): r["map"] for r in rows}
    plain = {
        (r["method"], bits): _mean(_by_method(reports[_WHOLE]["rows"], bits)[r["method"]])
        for r in rows
        for bits in lengths
    }
    names = sorted({r["method"] for r in rows}, key=lambda name: -found[name, "trunk", _BITS])
    heads = [f"{feature}, {bits} bits" for feature in ("trunk", "LBP") for bits in lengths]
    return table(
        ["method", *heads],
        (
            [name, *(f"{found[name, 'trunk', bits]:.3f}" for bits in lengths),
             *(f"{plain[name, bits]:.3f}" for bits in lengths)]
            for name in names
        ),
    )  # fmt: skip


def _by_method(rows: Iterable[Report], bits: int) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = {}
    for row in rows:
        if row["bits"] == bits:
            found.setdefault(row["method"], []).append(row)
    return found


def _mean(rows: Sequence[Report], key: str = "map") -> float:
    return statistics.mean(row[key] for row in rows)


def _spread(rows: Sequence[Report], key: str = "map") -> str:
    """Mean, and the standard deviation where there are several seeds."""
    if len(rows) == 1:
        return f"{_mean(rows, key):.3f}"
    return f"{_mean(rows, key):.3f} ± {statistics.stdev(row[key] for row in rows):.3f}"


BLOCKS: dict[str, Callable[[Reports], str]] = {
    block.__name__: block
    for block in (
        comparison_data, comparison_ranking, comparison_leaders, comparison_ablation,
        comparison_budget, comparison_features,
    )
}  # fmt: skip
