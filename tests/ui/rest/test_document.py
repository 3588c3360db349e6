"""Every example of docs/API.md, by the real curl and by Python, against a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from daah.ui.app import _API_PHOTOS
from daah.ui.rest.requests import MOST_PHOTOS
from daah.ui.server.api_errors import CODES
from daah.ui.settings import Settings
from tests.project.test_code_blocks import API, LOCAL, Block, blocks
from tests.safety.conftest import painted
from tests.ui.rest.conftest import TOKEN

pytestmark = pytest.mark.slow

TEXT = Path(__file__).parents[3].joinpath(API).read_text(encoding="utf-8")

#: A call that the server refuses ends the script, and shows what the server said.
_CURL = 'curl() { command curl --fail-with-body "$@" | tee -a answers; echo >> answers; }\n'


def examples(language: str) -> list[Block]:
    """The blocks that run, in their order."""
    return [b for b in blocks() if b.document == API and b.way == "api" and b.language == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the photos that the examples name."""
    (tmp_path / "photo.jpg").write_bytes(painted("red"))
    (tmp_path / "group.jpg").write_bytes(painted("blue", "green"))
    # Somebody who is not in the gallery.
    monkeypatch.setitem(painted.__globals__["PEOPLE"], "ada", (20, 210, 210))
    (tmp_path / "ada.jpg").write_bytes(painted("ada"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAAH_TOKEN", TOKEN)
    return tmp_path


def test_the_curl_examples_run(owner: httpx.Client, folder: Path) -> None:
    host = str(owner.base_url).removesuffix("/api/v1/")
    script = _CURL + "\n".join(block.text.replace(LOCAL, host) for block in examples("bash"))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True,
        env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in (folder / "answers").read_text().split("\n") if line]
    assert len(answers) == len(re.findall(r"\bcurl -s", script))
    encoded, searched, _, by_code, compared, listed, enrolled, shown, renamed, gone, health = (
        answers
    )
    assert len(encoded["photos"][0]["faces"][0]["code"]) == 16
    assert [len(photo["faces"]) for photo in searched["photos"]] == [1, 2]
    assert by_code["codes"][0]["people"][0]["person"] == "red"
    assert compared["same_person"] is False
    assert len(listed["people"]) == 2
    assert enrolled["added"][0]["photo"] == "ada.jpg"
    assert (shown["name"], renamed["name"], gone["removed"]) == ("Ada Lovelace", "Ada L.", 1)
    assert health == {"status": "ok"}


def test_the_python_examples_run(
    owner: httpx.Client, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = str(owner.base_url).removesuffix("/api/v1/")
    scope: dict = {}
    for block in examples("python"):
        exec(compile(block.text.replace(LOCAL, host), f"{API}:{block.line}", "exec"), scope)
    scope["api"].close()
    told = capsys.readouterr().out
    assert "match red 12" in told
    assert "found: ada\nback: ada.jpg\n['ada', 'blue', 'green', 'red']" in told


def test_every_route_and_every_code_is_named(guarded: httpx.Client) -> None:
    paths = guarded.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in TEXT
    assert {code for _, code in re.findall(r"^\| (\d+) \| `(\w+)`", TEXT, re.MULTILINE)} == {
        *CODES.values(), "photo", "busy",
    }  # fmt: skip


def test_the_limits_are_those_of_the_code() -> None:
    most = _API_PHOTOS * Settings().max_upload_mb
    assert f"takes {MOST_PHOTOS} photos and {most} MiB" in " ".join(TEXT.split())
