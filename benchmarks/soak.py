"""Twenty visitors at once against the app in a process of its own, and what becomes of them.

    python -m benchmarks.soak --out docs/results/soak
    python -m benchmarks.soak --visitors 5 --requests 10 --rounds 1 --sessions 20 --out /tmp/soak

Each visitor has a photo of another person of ORL, and first does alone everything it will do later:
those are the answers it must get again while the others ask too. Then, five times: every visitor
sends its requests one after another, all visitors at once. A tenth of the requests are searches of
the page, a tenth calls of the endpoint, the rest controls of the page (matches to show, limit, code
length, heatmap), which answer from what the visitor's session holds. Then the same visitors send
frames to Live, which follows one camera at a time and drops the frames of others. Then more
searches come at once than the queue takes. At last two hundred more visitors come with photos as a
phone takes them, and each does everything that the page offers: search, every tab and the figures
in it, a comparison, somebody added, a frame of Live. Nothing is repeated; the number of requests is
fixed. The memory of the server must stay under PROMISE.

The server is watched from outside: its memory every second, with that of its worker processes, its
log for tracebacks. Client and server share the machine, so waiting includes the clients' own work.
Each visitor says that it comes from an address of its own, as behind a proxy.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import psutil
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.report import write
from benchmarks.visitor import Visitor
from daah import plots
from daah.data.sources import orl
from daah.ui.page.html import EXPIRED

ROOT = Path(__file__).resolve().parents[1]

#: One round of requests, repeated: searches, the endpoint, and controls between them.
TURN = (
    "search", "count", "bits", "strength", "endpoint", "threshold", "count", "bits", "strength",
    "threshold",
)  # fmt: skip

#: Where the controls are set to, so that their answers differ from the page's first state.
SET = {"count": 5, "threshold": 25, "strength": 0.35, "bits": 64}

#: Within the limits of every code length; the page lowers it with the length.
LIMIT = {"threshold": 30}

#: Searches that come at once when the queue is to be full.
BURST = 60

#: Megabytes that the server takes at most, whatever visitors do.
PROMISE = 2048

#: Visitors of the last stage who are on the page at the same moment.
AT_ONCE = 4


@dataclass
class Tally:
    """Milliseconds by kind of request, what went wrong, and whose answers came to others."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    others: int = 0
    dropped: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, seconds: float) -> None:
        """One request was answered."""
        with self.lock:
            self.waits.setdefault(kind, []).append(1000 * seconds)

    def fail(self, words: str) -> None:
        """One request was not answered, or as an error."""
        with self.lock:
            self.errors[words[:100]] += 1

    def report(self, seconds: float) -> dict[str, Any]:
        """As in the report."""
        every = [wait for waits in self.waits.values() for wait in waits]
        return {
            "requests": len(every) + sum(self.errors.values()),
            "errors": dict(self.errors),
            "answers of others": self.others,
            "seconds": round(seconds, 1),
            "milliseconds": {
                kind: percentiles(waits) for kind, waits in {**self.waits, "all": every}.items()
            },
        }


def percentiles(waits: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest of some waits in milliseconds."""
    if not waits:
        return {}
    found = np.percentile(waits, [50, 95, 99, 100]).round(1).tolist()
    return {"count": len(waits), **dict(zip(("p50", "p95", "p99", "most"), found, strict=True))}


class Regular:
    """A visitor with a photo of `person`, who knows the answers that must come."""

    def __init__(self, url: str, person: str, rgb: np.ndarray, address: str) -> None:
        self.person = person
        self.visitor = Visitor(url, timeout=300, address=address)
        buffer = io.BytesIO()
        Image.fromarray(rgb).resize((276, 336), Image.Resampling.BICUBIC).save(buffer, "PNG")
        self.png = buffer.getvalue()
        frame = Image.new("RGB", (640, 480), (96, 96, 96))
        frame.paste(Image.open(io.BytesIO(self.png)), (180, 60))
        buffer = io.BytesIO()
        frame.save(buffer, "JPEG", quality=85)
        self.frame = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        self.live = next(
            c["id"]
            for c in self.visitor.config["components"]
            if c["props"].get("elem_id") == "live"
        )
        self.known: list[str] = []

    def enlarge(self) -> None:
        """Give the visitor a photo as a phone takes it, of the same person."""
        large = Image.new("RGB", (1600, 1200), (96, 96, 96))
        large.paste(Image.open(io.BytesIO(self.png)).resize((552, 672)), (500, 300))
        buffer = io.BytesIO()
        large.save(buffer, "JPEG", quality=90)
        self.png = buffer.getvalue()

    def tour(self) -> None:
        """Everything that the page offers. Raises ConnectionError with what the page would show."""
        photo = self.visitor.photo("photo.jpg", self.png)
        outcomes = [self.visitor.send("photo", values={**LIMIT, "photo": photo})]
        for label in self.visitor.tabs:
            outcomes += self.visitor.turn(label)
        drawn = "".join(str(text) for one in outcomes for text in one.values.values())
        addresses = set(re.findall(r'src="(figures/[^"]+)"', drawn))
        if not addresses:
            raise ConnectionError("no figures")
        for address in addresses:
            if self.visitor.request("GET", f"/{address}").status != 200:
                raise ConnectionError(f"{address} is not there")
        both = {"photo-first": photo, "photo-second": photo}
        outcomes.append(self.visitor.send("photo-first", values=both))
        own = {"own-name": "Somebody", "own-photo": photo}
        outcomes.append(self.visitor.send("own-add", "click", own))
        for outcome in outcomes:
            if outcome.error:
                raise ConnectionError(outcome.error)
        self.look()

    def learn(self) -> None:
        """Take one turn alone, and remember the answers of the next: controls stay as they are."""
        for turn in range(2):
            self.known.clear()
            for kind in TURN:
                answer = self.ask(kind)
                if self.person not in answer:
                    raise SystemExit(
                        f"{self.person}: answer {turn} to {kind!r} is of somebody else"
                    )
                self.known.append(_plain(answer))

    def ask(self, kind: str) -> str:
        """One request; its answer. Raises ConnectionError with what the page would show."""
        if kind == "endpoint":
            text = self.visitor.search(self.visitor.photo("photo.png", self.png), k=3).text
            _, complete, answer = text.partition("event: complete")
            if not complete:
                raise ConnectionError(text)
            return answer  # beats of a long wait stand before it
        if kind == "search":
            photo = self.visitor.photo("photo.png", self.png)
            outcome = self.visitor.send("photo", values={**LIMIT, "photo": photo})
        else:
            outcome = self.visitor.send(kind, values={**LIMIT, kind: SET[kind]})
        if outcome.error:
            raise ConnectionError(outcome.error)
        drawn = outcome.values
        # The heatmap alone is the person's as well, but does not say so.
        name = self.person if kind == "strength" and drawn.get("heatmap") else ""
        return name + "".join(str(drawn.get(part, "")) for part in ("people", "cells", "heatmap"))

    def ask_patiently(self, kind: str) -> str:
        """As `ask`, once the queue has room again."""
        for _ in range(600):
            try:
                return self.ask(kind)
            except ConnectionError:
                time.sleep(0.2)
        raise ConnectionError("the queue stays full")

    def look(self) -> dict[str, Any]:
        """One frame of Live."""
        body = {"data": self.frame, "fn_name": "frame", "component_id": self.live}
        body["session_hash"] = self.visitor.session
        reply = self.visitor.post("/gradio_api/component_server", body)
        if reply.status != 200:
            raise ConnectionError(f"{reply.status} {reply.text}")
        return json.loads(reply.body)


def _plain(answer: str) -> str:
    """An answer without what differs from one time to the next: how long it took."""
    return hashlib.sha256(re.sub(r'"seconds": \{[^}]*\}', "", answer).encode()).hexdigest()


# --- what visitors do ----------------------------------------------------------------------------


def at_once(people: list[Regular], work: Callable[[Regular], None]) -> float:
    """Everybody works at the same time; seconds until the last is done."""
    start = threading.Barrier(len(people) + 1)

    def run(person: Regular) -> None:
        start.wait()
        work(person)

    threads = [threading.Thread(target=run, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def visits(people: list[Regular], requests: int) -> dict[str, Any]:
    """Every visitor sends so many requests."""
    tally = Tally()

    def work(person: Regular) -> None:
        for number in range(requests):
            kind = TURN[number % len(TURN)]
            began = time.perf_counter()
            try:
                answer = person.ask(kind)
            except (OSError, ValueError, LookupError) as problem:
                tally.fail(f"{kind}: {problem}")
                continue
            tally.add(kind, time.perf_counter() - began)
            if _plain(answer) != person.known[number % len(TURN)]:
                with tally.lock:
                    tally.others += 1

    return tally.report(at_once(people, work))


def cameras(people: list[Regular], frames: int) -> dict[str, Any]:
    """Every visitor sends so many frames, each as soon as the one before is answered."""
    tally = Tally()

    def work(person: Regular) -> None:
        for _ in range(frames):
            began = time.perf_counter()
            try:
                seen = person.look()
            except (OSError, ValueError) as problem:
                tally.fail(str(problem))
                continue
            if seen.get("busy"):
                with tally.lock:
                    tally.dropped += 1
                time.sleep(0.25)  # the camera has moved on meanwhile
                continue
            tally.add("frame", time.perf_counter() - began)
            if [face["name"] for face in seen.get("faces", ())] != [person.person]:
                with tally.lock:
                    tally.others += 1

    seconds = at_once(people, work)
    report = tally.report(seconds)
    report["requests"] += tally.dropped
    return {**report, "dropped": tally.dropped}


def tours(url: str, photos: dict[str, np.ndarray], count: int) -> dict[str, Any]:
    """So many visitors do everything, a few at a time; what is left of their results afterwards."""
    tally = Tally()
    names = list(photos)

    def come(number: int) -> Regular | None:
        name = names[number % len(names)]
        began = time.perf_counter()
        try:
            person = Regular(url, name, photos[name], address(1000 + number))
            person.enlarge()
            person.tour()
        except (OSError, ValueError, LookupError) as problem:
            tally.fail(str(problem))
            return None
        tally.add("visit", time.perf_counter() - began)
        return person

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        people = list(pool.map(come, range(count)))
    seconds = time.perf_counter() - began
    left: Counter[str] = Counter()
    for person in people:
        if person is not None:
            drawn = person.visitor.send("count", values={**LIMIT, "count": 5}).values
            if person.person in drawn.get("people", ""):
                left["kept"] += 1
            elif EXPIRED.partition("{")[0] in drawn["sentence"]:
                left["given up, and said so"] += 1
            else:
                tally.others += 1
    return {**tally.report(seconds), "sessions": count, "results": dict(left)}


def address(number: int) -> str:
    """Where a visitor says to be."""
    return f"10.0.{number // 250}.{number % 250 + 1}"


def burst(people: list[Regular], queue: int) -> dict[str, Any]:
    """More searches at once than the queue takes: what those that do not fit are told."""
    person = people[0]
    told: list[tuple[int, str]] = []

    def join(other: Regular, body: dict[str, Any]) -> None:
        reply = other.visitor.post("/gradio_api/call/search", body)
        told.append((reply.status, "" if reply.status == 200 else reply.text[:200]))

    bodies = [{"data": [one.visitor.photo("photo.png", one.png), 3, 128]} for one in people]
    each = list(zip(people, bodies, strict=True))
    threads = [threading.Thread(target=join, args=each[i % len(each)]) for i in range(BURST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = person.ask_patiently("endpoint")
    return {
        "at once": BURST,
        "queue": queue,
        "taken": sum(status == 200 for status, _ in told),
        "refused": sum(status != 200 for status, _ in told),
        "told": sorted({text for _, text in told if text}),
        "answers again": _plain(after) == person.known[TURN.index("endpoint")],
    }


# --- the server ----------------------------------------------------------------------------------


class Watch(threading.Thread):
    """The memory of the server and its worker processes, once a second, with what was going on."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.began = time.perf_counter()
        self.doing = "start"
        self.samples: list[tuple[float, float, str]] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Until told that it is over."""
        while not self.over.wait(1):
            megabytes = self.megabytes()
            self.samples.append((time.perf_counter() - self.began, megabytes, self.doing))

    def megabytes(self) -> float:
        """Resident now; what processes share is counted once."""
        total = self.process.memory_info().rss
        for child in self.process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                total += child.memory_full_info().uss
        return total / 2**20

    def report(self) -> dict[str, Any]:
        """Megabytes over time, thinned, and how they rise within the rounds of visits."""
        step = max(1, len(self.samples) // 300)
        rounds = [s for s in self.samples if s[2].startswith("round")]
        flat = [s for s in rounds if s[0] > rounds[0][0] + 60] if rounds else []
        report: dict[str, Any] = {
            "most": round(max(m for _, m, _ in self.samples), 1),
            "promised": PROMISE,
            "megabytes": [[round(t), round(m, 1), doing] for t, m, doing in self.samples[::step]],
        }
        if len(flat) > 20:
            seconds, megabytes, _ = zip(*flat, strict=True)
            tenth = max(1, len(flat) // 10)
            report["after the first minute"] = {
                "first": round(float(np.mean(megabytes[:tenth])), 1),
                "last": round(float(np.mean(megabytes[-tenth:])), 1),
                "megabytes a minute": round(60 * float(np.polyfit(seconds, megabytes, 1)[0]), 2),
            }
        return report


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, subprocess.Popen, Path]]:
    """The app as a visitor's host starts it, on a free port: its address, process and log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "log.txt"
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder),
        "DAAH_KEEP_SECONDS": "7200",  # nothing is given back because its time is over
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "app.py")],
            cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}/", process, log
    finally:
        process.terminate()
        process.wait(60)


def _wait(url: str, process: subprocess.Popen) -> None:
    """Until the app itself answers."""
    while True:
        try:
            Visitor(url).event("photo")
            return
        except (OSError, LookupError):
            if process.poll() is not None:
                raise SystemExit("the server ended") from None
            time.sleep(0.5)


def soak(visitors: int, requests: int, rounds: int, sessions: int) -> dict[str, Any]:
    """Everything, in order."""
    photos = {photo.person: photo.rgb for photo in orl() if photo.name.endswith("/10")}
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (url, process, log):
        _wait(url, process)
        people = [
            Regular(url, name, rgb, address(number))
            for number, (name, rgb) in enumerate(list(photos.items())[:visitors])
        ]
        for person in people:
            person.learn()
        watch = Watch(process.pid)
        watch.start()
        report: dict[str, Any] = {
            "machine": {
                "cores": os.cpu_count(),
                "kind": platform.machine(),
                "python": platform.python_version(),
                "load before": round(os.getloadavg()[0], 1),
            },
            "visitors": visitors,
            "requests of each": requests,
            "rounds": [],
        }
        for number in range(rounds):
            watch.doing = f"round {number + 1}"
            report["rounds"].append(visits(people, requests))
        watch.doing = "live"
        report["live"] = cameras(people, requests)
        watch.doing = "burst"
        report["full queue"] = burst(people, queue=20)
        watch.doing = "sessions"
        report["sessions"] = tours(url, photos, sessions)
        watch.over.set()
        watch.join()
        report["memory"] = watch.report()
        report["machine"]["load after"] = round(os.getloadavg()[0], 1)
        report["tracebacks in the log"] = log.read_text().count("Traceback")
    return report


def plot(report: dict[str, Any], path: Path) -> None:
    """Memory over time above the waits of each kind of request."""
    with mpl.rc_context(plots.STYLE):
        figure = Figure((8, 6), layout="constrained")
        memory, waits = figure.subplots(2)
        _plot_memory(report, memory)
        _plot_waits(report, waits)
        plots.save_figure(figure, path)


def _plot_memory(report: dict[str, Any], memory: Axes) -> None:
    seconds, megabytes, doing = zip(*report["memory"]["megabytes"], strict=True)
    memory.plot(seconds, megabytes, color=plots.CYCLE[0])
    for at in [i for i in range(1, len(doing)) if doing[i] != doing[i - 1]]:
        memory.axvline(seconds[at], color=plots.CYCLE[-1], linewidth=0.8)
        # Upright: the last phases are short, and their names would cover each other.
        memory.text(seconds[at], 30, f" {doing[at]}", rotation=90, fontsize=8)
    memory.axhline(PROMISE, color=plots.CYCLE[-1], linestyle="--", linewidth=0.8)
    memory.text(seconds[0], PROMISE + 20, "promised", fontsize=8)
    memory.set_ylim(0, 1.1 * PROMISE)
    memory.set_xlabel("seconds")
    memory.set_ylabel("server's memory, MB")
    memory.set_title(
        f"{report['visitors']} visitors, {report['requests of each']} requests of each"
    )


def _plot_waits(report: dict[str, Any], waits: Axes) -> None:
    kinds = [kind for kind in report["rounds"][-1]["milliseconds"] if kind != "all"]
    at = np.arange(len(kinds))
    for i, name in enumerate(("p50", "p95", "p99")):
        heights = [report["rounds"][-1]["milliseconds"][kind][name] for kind in kinds]
        waits.bar(at + 0.27 * (i - 1), heights, 0.25, label=name, color=plots.CYCLE[i])
    waits.set_xticks(at, kinds)
    waits.set_yscale("log")
    waits.set_ylabel("milliseconds, last round")
    waits.legend(loc="upper center", ncols=3, fontsize=8)


def main() -> None:
    """Read the command line, measure, write the report and its plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=20, help="at most 40")
    parser.add_argument("--requests", type=int, default=50, help="of each visitor in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=200, help="of the last stage")
    parser.add_argument("--out", type=Path, required=True, help="OUT.json and OUT.png are written")
    asked = parser.parse_args()
    report = soak(asked.visitors, asked.requests, asked.rounds, asked.sessions)
    write(report, asked.out.with_suffix(".json"))
    plot(report, asked.out.with_suffix(".png"))
    shown = {key: value for key, value in report.items() if key != "memory"}
    memory = {key: value for key, value in report["memory"].items() if key != "megabytes"}
    print(json.dumps(shown | {"memory": memory}, indent=1))
    parts = [*report["rounds"], report["live"], report["sessions"]]
    bad = any(part["errors"] or part["answers of others"] for part in parts)
    bad = bad or report["memory"]["most"] > PROMISE or report["tracebacks in the log"] > 0
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
