"""The suite beside busy loops: they run during the tests, and end whatever happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.doubles.waiting import eventually
from tests.project import stress

INNER = """
import psutil

def loops():
    around = psutil.Process().parent().children()
    return [one for one in around if any("getppid" in word for word in one.cmdline())]

def test_beside():
    assert len(loops()) == 2

def test_wrong():
    assert False
"""


def test_loops_end_with_the_block() -> None:
    def loops() -> list[psutil.Process]:
        return [one for one in psutil.Process().children() if stress.LOOP in one.cmdline()]

    with stress.busy(3):
        assert eventually(lambda: len(loops()) == 3)
    assert not loops()


@pytest.mark.slow
def test_each_run_has_its_seed_and_a_failure_is_told(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(INNER)
    result = subprocess.run(
        [sys.executable, stress.__file__, "--times", "2", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = result.stdout.splitlines()
    seeds = [line.split()[-1] for line in lines if line.startswith("run ") and "seed" in line]
    assert len(set(seeds)) == 2
    assert sum("1 failed, 1 passed" in line for line in lines) == 2
    assert result.returncode == 1
