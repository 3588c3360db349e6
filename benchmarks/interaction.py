"""How long the server takes to answer a slider and a tap, with three faces on the screen.

    python -m benchmarks.interaction --json docs/results/interaction.json

The app runs in a process of its own and is asked over HTTP as its page asks. The time on the clock
is what a visitor waits for beside the network; the processor time of the app leaves out what else
the machine does, and stands beside that of an event that computes nothing, which is Gradio's own.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import machine, write
from benchmarks.start_up import Started, processor_seconds, started
from benchmarks.visitor import Visitor
from daah.ui.page.examples import FOLDER

PROMISE = "at most 150 ms, on a free machine"
NOTHING = "Nothing: a tap beside everything"

#: Sliders, and two places of each.
SLIDERS = {"bits": (64, 128), "count": (8, 24), "threshold": (5, 30), "strength": (0.2, 0.9)}


def actions(visitor: Visitor) -> dict[str, Callable[[int], object]]:
    """What a visitor does, by what it is called; each is told how often it was done before."""
    photo = visitor.photo("three.jpg", (FOLDER / "group.jpg").read_bytes())
    visitor.send("photo", "input", {"photo": photo})
    shown = {}
    for face in (0, 1):  # the second changes something, whatever was chosen before
        shown = visitor.send("chips", "select", event_data={"do": "face", "index": face}).values
    ids = re.findall(r'data-id="(-?\d+)"', shown["people"])

    def slide(slider: str) -> Callable[[int], object]:
        return lambda turn: visitor.send(slider, "input", {slider: SLIDERS[slider][turn % 2]})

    def tap(part: str, event: Callable[[int], object]) -> Callable[[int], object]:
        return lambda turn: visitor.send(part, "select", event_data=event(turn))

    return {
        NOTHING: tap("header", lambda turn: {}),
        **{f"The slider {slider}": slide(slider) for slider in SLIDERS},
        "A tap on a face's chip": tap("chips", lambda turn: {"do": "face", "index": turn % 3}),
        "A tap on a face in the photo": tap(
            "boxes", lambda turn: {"do": "face", "x": 0.2 + 0.3 * (turn % 3), "y": 0.5}
        ),
        # Another one each time: none of them was encoded before.
        "A tap on a person": tap(
            "people", lambda turn: {"do": "match", "id": ids[turn % len(ids)]}
        ),
    }


def measure(app: Started, turns: int) -> list[dict[str, object]]:
    """The rows of the report: medians of `turns` calls, the first left out."""
    rows = []
    for what, act in actions(Visitor(app.url)).items():
        waited, spent = [], []
        for turn in range(turns + 1):
            before, began = processor_seconds(app.process), time.perf_counter()
            outcome = act(turn)
            if outcome.error:
                raise RuntimeError(f"{what}: {outcome.error}")
            waited.append(time.perf_counter() - began)
            spent.append(processor_seconds(app.process) - before)
        rows.append(
            {
                "what": what,
                "value": round(1000 * statistics.median(waited[1:]), 1),
                # The system counts processor time in hundredths of a second, so take the mean.
                "processor_ms": round(1000 * statistics.mean(spent[1:]), 1),
                "unit": "ms",
                "promise": PROMISE if what != NOTHING else "",
            }
        )
    return rows


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=20, help="calls of each kind")
    parser.add_argument("--gallery", type=Path, help="a built one, instead of gallery/orl")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    about = machine()
    with started(given.gallery) as app:
        rows = measure(app, given.turns)
    report = {
        "title": "Sliders and taps",
        "machine": about,
        "rows": rows,
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
