"""The second run of the numerical tests is on the arithmetic that it claims."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import held_down
from tests.project.held_down import LEVELS, Level


@pytest.mark.slow
def test_an_environment_that_holds_nothing_down_is_found_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two libraries are held to less than AVX2, so that the answers differ on every processor."""
    above, below = LEVELS["AVX2"], LEVELS["SSE4"]
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
    wrong = {**above.variables, **{name: below.variables[name] for name in names}}
    monkeypatch.setitem(LEVELS, "AVX2", Level(wrong, above.answers))
    assert held_down.main(["--level", "AVX2", "--version"]) == 1
    out, errors = capsys.readouterr()
    assert "PyTorch DEFAULT" in out
    assert errors.splitlines() == [
        "PyTorch computes with 'DEFAULT', expected 'AVX2'",
        "oneDNN computes with 'Intel SSE4.1', expected 'Intel AVX2'",
    ]


def test_it_is_lower_than_the_machine() -> None:
    assert held_down.lower({"PyTorch": "AVX512"}) == "AVX2"
    assert held_down.lower({"PyTorch": "AVX2"}) == "SSE4"


@pytest.mark.parametrize("level", LEVELS.values(), ids=list(LEVELS))
def test_each_library_is_checked(level: Level) -> None:
    assert held_down.unheld(level, level.answers) == []
    for name in level.answers:
        wrong = {**level.answers, name: "AVX512"}
        assert [line.split()[0] for line in held_down.unheld(level, wrong)] == [name]
    assert len(held_down.unheld(level, {})) == len(level.answers)


def test_the_numerical_tests_are_there() -> None:
    root = Path(held_down.__file__).parents[2]
    assert [path for path in held_down.NUMERICAL if not (root / path).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_pytest_runs_under_the_variables(name: str, tmp_path: Path) -> None:
    level = LEVELS[name]
    inner = tmp_path / "test_inner.py"
    inner.write_text(
        "import os\n"
        f"def test_held():\n    assert os.environ.items() >= {level.variables}.items()\n"
        "def test_wrong():\n    assert False\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in level.variables}
    command = [sys.executable, held_down.__file__, "--level", name, "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, str(inner)], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert result.stdout.startswith(f"held down to {name}: PyTorch"), result.stderr
    assert "1 failed, 1 passed" in result.stdout
    assert result.returncode == 1
