"""The second run of the numerical tests is on the arithmetic that it claims."""

import os
import subprocess
import sys
from pathlib import Path

import held_down
import pytest


def test_an_environment_that_holds_nothing_down_is_found_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held to less than AVX2 instead, so that the answers differ on every processor."""
    lower = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    monkeypatch.setattr(held_down, "VARIABLES", held_down.VARIABLES | lower)
    assert held_down.main(["--version"]) == 1
    out, errors = capsys.readouterr()
    assert "PyTorch DEFAULT" in out
    assert errors.splitlines() == [
        "PyTorch computes with DEFAULT, expected AVX2",
        "oneDNN computes with Intel SSE4.1, expected Intel AVX2",
    ]


def test_each_library_is_checked() -> None:
    assert held_down.unheld(held_down.HELD) == []
    for name in held_down.HELD:
        wrong = held_down.HELD | {name: "AVX512"}
        assert [line.split()[0] for line in held_down.unheld(wrong)] == [name]
    assert len(held_down.unheld({})) == len(held_down.HELD)


def test_pytest_runs_under_the_variables(tmp_path: Path) -> None:
    inner = tmp_path / "test_inner.py"
    inner.write_text(
        "import os\n"
        f"def test_held():\n    assert os.environ.items() >= {held_down.VARIABLES}.items()\n"
        "def test_wrong():\n    assert False\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in held_down.VARIABLES}
    result = subprocess.run(
        [sys.executable, held_down.__file__, "-q", "-p", "no:cacheprovider", str(inner)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("held down to AVX2: PyTorch AVX2, oneDNN Intel AVX2")
    assert "1 failed, 1 passed" in result.stdout
    assert result.returncode == 1
