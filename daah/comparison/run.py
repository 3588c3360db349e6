"""The comparison: protocol 2 for every method of `daah.comparison.methods`, with one budget.

The work is a list of jobs. The result of each is stored in a file when it is done, so that
comparisons are resumable and results can be read while one runs:

start       a softmax classifier on the plain trunk per seed; it initialises every deep method tune
each method's tries, on a held-out part of the training images row         one method, one length,
one seed feature     a shallow method on another descriptor ablation    DDAH without one of its
parts

Axes: N = training images, Q = queries, K = hash bits.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from daah.comparison.data import ClosedData
from daah.comparison.jobs import MAIN_FEATURE, TUNING_BITS, ComparisonSettings, Job, jobs
from daah.comparison.methods import ABLATION, METHODS
from daah.comparison.methods.base import Budget, HashingMethod
from daah.comparison.methods.features import LBP, Features, Pixels, chi_square, lbp_histograms
from daah.comparison.methods.softmax_start import SoftmaxTrunk, TrunkFeatures
from daah.errors import DataError
from daah.evaluation.closed_set import split_faces
from daah.files import replace_atomically
from daah.metrics.query_database import ClosedSetScores, score_codes, score_distances

#: Seed of the split inside the training images; any fixed number but those of the rows.
_TUNING_SEED = 1000


class Comparison:
    """Runs jobs, and stores their results and shared intermediate results in `work`.

    Args:
        data: the closed set.
        settings: the settings.
        work: folder of the results; it is created.

    Raises:
        DataError: `work` belongs to other data or another budget.
    """

    def __init__(self, data: ClosedData, settings: ComparisonSettings, work: Path) -> None:
        self.data, self.settings, self.work = data, settings, Path(work)
        (self.work / "jobs").mkdir(parents=True, exist_ok=True)
        self._claim()
        self._features: dict[tuple[str, int], tuple[np.ndarray, np.ndarray, float]] = {}
        inner = split_faces(data.train, _TUNING_SEED, minimum=1, maximum=10**9)
        self.tuning_data = ClosedData(f"{data.name}, training part", *inner)

    def _claim(self) -> None:
        mine = {
            "data": self.data.summary,
            "budget": asdict(self.settings.budget),
            "start_epochs": self.settings.start_epochs,
            "tuning": self.settings.tuning,
        }
        path = self.work / "settings.json"
        try:
            theirs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else mine
        except ValueError:  # no JSON, or no text
            theirs = None
        if theirs != mine:
            raise DataError(
                f"{self.work} holds a comparison of other data or another budget: choose another"
                " folder for --work, or empty it"
            )
        _write_json(path, mine)

    def done(self, job: Job) -> dict[str, Any] | None:
        """The result of a finished job.

        Args:
            job: the job.

        Returns:
            The result as plain JSON values; None if the job is not finished.
        """
        path = self.work / "jobs" / f"{job.name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def run(self, job: Job, report: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """Run a job, or return its stored result.

        Args:
            job: the job.
            report: called with epochs done and their number; None for no reports.

        Returns:
            The result as plain JSON values.
        """
        result = self.done(job)
        if result is None:
            result = self._tune(job, report) if job.stage == "tune" else self._row(job, report)
            _write_json(self.work / "jobs" / f"{job.name}.json", result)
        return result

    def chosen(self, method: str) -> dict[str, Any]:
        """Settings that tuning chose for a method; without tuning those of its first try.

        Args:
            method: name of the method.

        Returns:
            The settings by name.
        """
        tries = METHODS[method].tries
        if len(tries) == 1 or not self.settings.tuning:
            return dict(tries[0])
        figures = [
            self.run(Job("tune", method, TUNING_BITS, 0, str(i)))["map"] for i in range(len(tries))
        ]
        return dict(tries[int(np.argmax(figures))])

    def _tune(self, job: Job, report: Callable[[int, int], None] | None) -> dict[str, Any]:
        tried = dict(METHODS[job.method].tries[int(job.variant)])
        epochs = max(1, round(self.settings.budget.epochs * self.settings.tuning))
        budget = replace(self.settings.budget, epochs=epochs)
        data = self.tuning_data
        hasher = self._build(job, tried, budget, report)
        if hasher.inputs == "features":
            features = LBP()
            features.fit(data.train.images, data.train.labels)
            train, query = (
                features.transform(data.train.images),
                features.transform(data.query.images),
            )
        else:
            # An initialisation trained on the held-out images would flatter every try.
            hasher.initial = self._start(0, data, self.work / "start-tuning.safetensors")
            train, query = data.train.images, data.query.images
        hasher.fit(train, data.train.labels)
        scores = score_codes(
            hasher.encode(query), hasher.database(train), data.query.labels, data.train.labels
        )
        return {"method": job.method, "settings": tried, "map": scores.map}

    def _row(self, job: Job, report: Callable[[int, int], None] | None) -> dict[str, Any]:
        chosen = self.chosen(job.method)
        switches = dict(ABLATION[job.variant]) if job.stage == "ablation" else {}
        hasher = self._build(job, chosen | switches, self.settings.budget, report)
        feature_ms = 0.0
        if hasher.inputs == "features":
            feature = job.variant if job.stage == "feature" else MAIN_FEATURE
            train, query, feature_ms = self.features(feature, job.seed)
        else:
            train, query = self.data.train.images, self.data.query.images
            hasher.initial = self._start(
                job.seed, self.data, self.work / f"start-{job.seed}.safetensors"
            )
        began = time.process_time()
        hasher.fit(train, self.data.train.labels)
        seconds = time.process_time() - began
        began = time.process_time()
        encoded = hasher.encode(query)
        encode_ms = feature_ms + 1e3 * (time.process_time() - began) / len(query)
        scores = score_codes(
            encoded, hasher.database(train), self.data.query.labels, self.data.train.labels
        )
        result = {
            "method": job.method,
            "bits": job.bits,
            "seed": job.seed,
            **scores.to_dict(),
            "train_seconds": round(seconds, 3),
            "encode_ms": round(encode_ms, 4),
            "settings": chosen,
            "curve": _curve(scores),
        }
        if job.stage == "feature":
            result["feature"] = job.variant
        if job.stage == "ablation":
            result["variant"] = job.variant
        return result

    def _build(
        self,
        job: Job,
        chosen: dict[str, Any],
        budget: Budget,
        report: Callable[[int, int], None] | None,
    ) -> HashingMethod:
        method = METHODS[job.method].build(job.bits, job.seed, budget, **chosen)
        method.report = report
        return method

    def features(self, name: str, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        """A descriptor of training images and queries; cached.

        Args:
            name: "LBP", "pixels" or "trunk".
            seed: seed of the trunk.

        Returns:
            Features of the training images (N, D) and of the queries (Q, D) float32, and
            milliseconds of processor time per image.
        """
        seed = seed if name == "trunk" else 0
        if (name, seed) not in self._features:
            features = self._descriptor(name, seed)
            features.fit(self.data.train.images, self.data.train.labels)
            train = features.transform(self.data.train.images)
            began = time.process_time()
            query = features.transform(self.data.query.images)
            spent = 1e3 * (time.process_time() - began) / len(query)
            self._features[name, seed] = train, query, spent
        return self._features[name, seed]

    def _descriptor(self, name: str, seed: int) -> Features:
        if name == "LBP":
            return LBP()
        if name == "pixels":
            return Pixels()
        return TrunkFeatures(self._trunk(seed, self.data, self.work / f"start-{seed}.safetensors"))

    def _start(self, seed: int, data: ClosedData, path: Path) -> dict[str, Any]:
        return self._trunk(seed, data, path).stages()

    def _trunk(self, seed: int, data: ClosedData, path: Path) -> SoftmaxTrunk:
        """The common initialisation, from its file if there is one."""
        budget = replace(self.settings.budget, epochs=self.settings.start_epochs)
        trunk = SoftmaxTrunk(seed, budget)
        if path.is_file():
            trunk.network = trunk.build(len(data.train.people))
            trunk.network.load_state_dict(load_file(path))
            return trunk
        began = time.process_time()
        trunk.fit(data.train.images, data.train.labels)
        spent = time.process_time() - began
        save_file({k: v.contiguous() for k, v in trunk.network.state_dict().items()}, path)
        _write_json(path.with_suffix(".json"), {"seed": seed, "train_seconds": round(spent, 3)})
        return trunk

    def references(self) -> list[dict[str, Any]]:
        """Scores of float descriptors: LBP by chi-square distance, trunk features by cosine."""
        own, theirs = self.data.query.labels, self.data.train.labels
        histograms = [lbp_histograms(p.images) for p in (self.data.query, self.data.train)]
        result = [("LBP histograms, chi-square", chi_square(*histograms))]
        if (self.work / "start-0.safetensors").is_file():
            train, query, _ = self.features("trunk", 0)
            result.append(("softmax trunk, cosine", np.float32(1) - query @ train.T))
        rows = []
        for name, distance in result:
            scores = score_distances(distance, own, theirs)
            rows.append({"name": name, "map": scores.map, "rank1": scores.precision_at[1]})
        return rows


def compare(
    data: ClosedData,
    settings: ComparisonSettings,
    work: Path,
    out: Path,
    command: str = "",
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the jobs that are missing in `work`, and write compare.json, compare.md and figures.

    Results are written after every finished job, with a table on stderr.

    Args:
        data: the closed set.
        settings: the settings.
        work: folder of the results of jobs.
        out: output folder; it is created.
        command: command line, for the report.
        quiet: whether nothing is printed.

    Returns:
        The report, as `collect` returns it.

    Raises:
        DataError: `work` belongs to other data or another budget.
    """
    from daah.comparison.report import progress_table, write_report

    comparison = Comparison(data, settings, work)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    listed = jobs(settings)
    for done, job in enumerate(listed, 1):
        fresh = comparison.done(job) is None
        began = time.perf_counter()
        result = comparison.run(job, None if quiet else _epochs(job))
        if fresh:
            write_report(collect(comparison, listed, command), out, figures=False)
        if fresh and not quiet:
            spent = time.perf_counter() - began
            _say(f"{done}/{len(listed)} {job.name}: mAP {result['map']:.4f} in {spent:.0f} s")
            if done % 10 == 0 or done == len(listed):
                _say(progress_table(collect(comparison, listed, command)))
    report = collect(comparison, listed, command, comparison.references())
    write_report(report, out, figures=True)
    return report


def collect(
    comparison: Comparison,
    listed: Sequence[Job],
    command: str = "",
    references: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Collect all finished results.

    Args:
        comparison: the comparison.
        listed: all jobs.
        command: command line, for the report.
        references: scores of float descriptors.

    Returns:
        The content of compare.json as plain JSON values; rows also have their curves.
    """
    found = [(job, comparison.done(job)) for job in listed]

    def stage(name: str) -> list[dict[str, Any]]:
        return [result for job, result in found if job.stage == name and result is not None]

    starts = sorted(comparison.work.glob("start-[0-9]*.json"))
    return {
        "rows": stage("row"),
        "features": stage("feature"),
        "ablation": stage("ablation"),
        "tuning": stage("tune"),
        "references": list(references),
        "starts": [json.loads(path.read_text()) for path in starts],
        "settings": {
            "budget": asdict(comparison.settings.budget),
            "start_epochs": comparison.settings.start_epochs,
            "tuning": comparison.settings.tuning,
            "main_feature": MAIN_FEATURE,
        },
        "pending": [job.name for job, result in found if result is None],
        "command": command,
        "data": comparison.data.summary,
    }


def _curve(scores: ClosedSetScores) -> dict[str, list[float]]:
    curve = scores.curve
    return {
        "distance": curve.distance.tolist(),
        "precision": [round(v, 6) for v in curve.precision.tolist()],
        "recall": [round(v, 6) for v in curve.recall.tolist()],
    }


def _epochs(job: Job) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        sys.stderr.write(f"\r{job.name}: epoch {done}/{total} ")
        if done == total:
            sys.stderr.write("\r")
        sys.stderr.flush()

    return report


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write_json(path: Path, value: Any) -> None:
    replace_atomically(path, (json.dumps(value, indent=1) + "\n").encode())
