"""What the README says holds: its front matter, its commands' files, its Python snippet."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def front_matter() -> dict[str, str]:
    block = README.split("---\n")[1]
    pairs = (line.split(":", 1) for line in block.splitlines() if line[:1].isalpha())
    return {key: value.strip().strip('"') for key, value in pairs}


def pinned(name: str) -> str:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return re.search(rf"^{name}==(.+)$", text, re.MULTILINE)[1]


def test_the_front_matter_is_what_spaces_reads() -> None:
    matter = front_matter()
    assert {"title", "emoji", "colorFrom", "colorTo", "short_description"} <= set(matter)
    assert matter["sdk"] == "gradio"
    assert matter["sdk_version"] == pinned("gradio")
    assert matter["license"] == "mit"
    assert (ROOT / matter["app_file"]).is_file()
    assert len(matter["short_description"]) <= 60


def test_the_python_snippet_runs_as_printed(capsys: pytest.CaptureFixture[str], retriever) -> None:
    snippet = re.search(r"<!-- snippet -->\n```python\n(.+?)```", README, re.DOTALL)[1]
    snippet = snippet.replace("retriever = load_retriever()\n", "")
    exec(compile(snippet, "README.md", "exec"), {"retriever": retriever})
    assert re.search(r"\bs\d+ s\d+/\d+ \d+ of 64 bits differ", capsys.readouterr().out)
