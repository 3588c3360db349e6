"""Every code block of every document runs here, or a comment above it says why it does not.

    <!-- not run: needs a Milvus server -->

stands directly above a block that does not run. The commands of this project in it are given to
their parsers all the same, so that no document names an option that there is no more.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import json
import re
import shlex
import shutil
import string
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from accelerate.commands.launch import launch_command_parser
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from daah.cli import app
from daah.data.sources import Photo
from daah.paths import PATHS
from daah.retrieval import loading
from daah.retrieval.retriever import FaceRetriever
from daah.stores.milvus import uri
from daah.ui.app import App, build_app
from daah.ui.page.examples import FOLDER as EXAMPLES
from tests.project.test_documents import FOLDERS

ROOT = Path(__file__).resolve().parents[2]
#: What the page fills in (`$bits`), so that a dollar of a shell is written twice there.
TEMPLATE = "daah/ui/about/static/about.md"
LOCAL = "http://127.0.0.1:7860"
#: Its examples run against a server in tests/ui/rest/test_document.py.
API = "docs/API.md"

SHELL = ("bash", "sh")
CONFIGURATION: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]{10,}) -->\n)?"
    r"^```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block: where it is, its language, its lines, and why it does not run, if so."""

    document: str
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def commands(self) -> list[list[str]]:
        """The simple commands of a shell script, as words without redirections."""
        return commands(self.text) if self.language in SHELL else []

    @property
    def way(self) -> str | None:
        """How it is tested; None: not at all.

        By "not run", "parsed", "api", "python", "commands" or "curl".
        """
        if self.reason is not None:
            return "not run"
        if self.language in CONFIGURATION:
            return "parsed"
        if self.document == API:
            return "api"
        if self.language == "python":
            return "python"
        if self.commands and all(own(words) for words in self.commands):
            return "commands"
        return "curl" if self.language in SHELL and "curl" in self.text else None


def commands(script: str) -> list[list[str]]:
    """As `Block.commands`: words up to the next operator or the end of a line."""
    found: list[list[str]] = []
    for line in script.replace("\\\n", " ").splitlines():
        found.append([])
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, "#"
        for word in words:
            if set(word) <= set("();<>|&"):
                found.append([])
            else:
                found[-1].append(word)
    return [words for words in found if words]


def own(words: list[str]) -> bool:
    """Whether a command is one of `python -m daah`."""
    return words[:3] == ["python", "-m", "daah"]


@functools.cache
def blocks() -> tuple[Block, ...]:
    """All code blocks of all documents."""
    paths = [
        *ROOT.glob("*.md"),
        *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md")),
    ]
    found = []
    for path in sorted(paths):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        matches = list(_BLOCK.finditer(text))
        # A fence that is indented, or that nothing closes, would hide a block from these tests.
        fences = len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))
        assert fences == 2 * len(matches), f"{name}: {fences} fences, {len(matches)} blocks"
        for match in matches:
            code = match["text"]
            if name == TEMPLATE:
                code = string.Template(code).safe_substitute()
            line = text.count("\n", 0, match.start("language")) + 1
            found.append(Block(name, line, match["language"], code, match["reason"]))
    return tuple(found)


def named(chosen: list[Block]) -> list:
    """Blocks as parameters of a test, named by document and line."""
    return [pytest.param(block, id=f"{block.document}:{block.line}") for block in chosen]


def by_way(way: str) -> list[Block]:
    """All blocks that are tested in one way."""
    return [block for block in blocks() if block.way == way]


def test_every_block_runs_or_says_why_not() -> None:
    assert len(blocks()) > 20
    assert [(b.document, b.line, b.language) for b in blocks() if b.way is None] == []
    marks = sum((ROOT / name).read_text(encoding="utf-8").count("<!-- not run")
                for name in {b.document for b in blocks()})  # fmt: skip
    assert marks == len(by_way("not run"))  # none is anywhere but directly above a block


def test_a_command_is_its_words() -> None:
    script = 'pip install x && A=$(python -m daah y "a b" \\\n  -k 1 | tr c) > z  # w\n'
    assert ["python", "-m", "daah", "y", "a b", "-k", "1"] in commands(script)
    assert ["pip", "install", "x"] in commands(script)


# --- parsers --------------------------------------------------------------------------------------


def parse(words: list[str]) -> bool:
    """Give a command's arguments to its parser; whether there is one. Raises for what is wrong."""
    for word in words:
        if word.startswith("milvus://"):
            uri.parse(word)
    if words[:2] == ["accelerate", "launch"]:
        given = launch_command_parser().parse_args(words[2:])
        assert given.module
        return parse(["python", "-m", given.training_script, *given.training_script_args])
    if words[0] == "daah":
        return parse(["python", "-m", *words])
    if words[:2] != ["python", "-m"] or words[2].split(".")[0] not in FOLDERS:
        return False
    if words[2] == "daah":
        _parse_command(words[3:])
    else:
        _parse_module(words[2], words[3:])
    return True


@functools.cache
def _commands() -> Any:
    return get_command(app)


def _parse_command(arguments: list[str]) -> None:
    command = _commands()
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if arguments != ["--help"]:
        assert not hasattr(command, "commands"), f"there is no command {arguments[:1]}"
        command.make_context(command.name, list(arguments))


class _ParsedError(Exception):
    """Raised behind the parser, so that nothing is executed."""


def _parse_module(module: str, arguments: list[str]) -> None:
    real = argparse.ArgumentParser.parse_args

    def only(parser: argparse.ArgumentParser, *_: object) -> None:
        real(parser, arguments)
        raise _ParsedError

    main = importlib.import_module(module).main
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", only)
        with pytest.raises(_ParsedError):
            main()


@pytest.mark.parametrize("block", named([b for b in blocks() if b.commands]))
def test_commands_parse(block: Block) -> None:
    parsed = sum(parse(words) for words in block.commands)
    assert parsed == len(
        re.findall(r"-m (?:daah|benchmarks|scripts)\b|(?:^|&& )daah ", block.text, re.M)
    )


@pytest.mark.parametrize(
    "line",
    ["python -m daah search --bitz 3 x.jpg", "python -m daah serch x.jpg",
     "accelerate launch --multi_gpus -m daah gallery add x --gallery y",
     "accelerate launch --num_processes 2 -m daah gallery add x --gallry y",
     "daah search", "python -m benchmarks.quality --form x", "daah gallery copy milvus://h/g?tsl=1"],
)  # fmt: skip
def test_a_wrong_command_does_not_parse(line: str) -> None:
    with pytest.raises((Exception, SystemExit)):
        parse(shlex.split(line))


@pytest.mark.parametrize("block", named(by_way("parsed")))
def test_configuration_parses(block: Block) -> None:
    assert CONFIGURATION[block.language](block.text)


# --- what runs ------------------------------------------------------------------------------------

#: Writes down what curl would be given, and answers as Gradio does: a path, an event, the event.
_CURL = r"""
curl() {
  printf '%s\0' "$@" >> asked
  printf '\n' >> asked
  case "$*" in
    */upload*) printf '["/tmp/x/photo.jpg"]' ;;
    */search/*) printf 'event: complete' ;;
    *) printf '{"event_id":"e1"}' ;;
  esac
}
"""


@pytest.mark.parametrize("block", named(by_way("curl")))
def test_curl_is_given_what_the_endpoint_takes(block: Block, tmp_path: Path) -> None:
    """`tests/ui/test_endpoint.py` sends the same to the real one."""
    script = ["bash", "-euo", "pipefail", "-c", _CURL + block.text]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "event: complete", "")
    lines = (tmp_path / "asked").read_text().splitlines()
    upload, call, result = (line.rstrip("\0").split("\0") for line in lines)
    assert {"files=@photo.jpg", f"{LOCAL}/gradio_api/upload"} <= set(upload)
    assert f"{LOCAL}/gradio_api/call/search" in call
    photo, k, bits = json.loads(call[call.index("-d") + 1])["data"]
    assert (photo["path"], photo["meta"]) == ("/tmp/x/photo.jpg", {"_type": "gradio.FileData"})
    assert (k, bits) == (8, 256)
    assert result[-1] == f"{LOCAL}/gradio_api/call/search/e1"


#: Documents whose blocks take up what a reader has done before.
BEFORE = {
    "PRIVACY.md": "python -m daah gallery build PHOTOS --gallery my-gallery",
    "SECURITY.md": "python -m daah gallery build PHOTOS --gallery my-gallery",
    "docs/DEPLOY.md": "python -m daah gallery build PHOTOS --gallery gallery/mine",
}

#: Documents that need no model and no gallery.
QUICK = {"docs/COMPARISON.md"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def furnished(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    orl_photos: list[Photo],
    retriever: FaceRetriever,
    congress: FaceRetriever,
) -> Path:
    """The folder with the files that documents speak of, and copies of the built-in galleries."""
    pictures = {photo.name: Image.fromarray(photo.rgb) for photo in orl_photos}
    for person, of in {"NAME": "s1", "s2": "s2"}.items():
        (workspace / "PHOTOS" / person).mkdir(parents=True)
        for number in (1, 2):
            pictures[f"{of}/{number}"].save(workspace / "PHOTOS" / person / f"{number}.png")
    pictures["s1/10"].save(workspace / "photo.jpg", quality=95)
    pictures["s3/1"].save(workspace / "eileen.jpg", quality=95)
    (workspace / "HOLIDAY").mkdir()
    for number in range(1, 5):
        pictures[f"s6/{number}"].save(workspace / "HOLIDAY" / f"{number}.png")
    photos = {"s4": "s4.png", "s5": "s5.png"}
    for person, name in photos.items():
        pictures[f"{person}/1"].save(workspace / name)
    rows = "".join(f"{person},{photo}\n" for person, photo in photos.items())
    (workspace / "people.csv").write_text(f"person,photo\n{rows}")
    table = pa.table({"person": list(photos), "photo": list(photos.values())})
    pq.write_table(table, workspace / "people.parquet")
    (workspace / "withdrawn.csv").write_text("person\ns4\n")
    (workspace / "runs" / "demo").mkdir(parents=True)
    trained = loading.DEFAULT_CHECKPOINT.with_suffix(".safetensors")
    shutil.copy(trained, workspace / "runs" / "demo" / "demo.safetensors")
    galleries = workspace / "gallery"
    shutil.copytree(retriever.gallery.folder, galleries / "orl")
    shutil.copytree(congress.gallery.folder, galleries / "congress")
    shutil.copytree(EXAMPLES, galleries / "examples")
    monkeypatch.setattr(loading, "DEFAULT_GALLERY", galleries / "congress")
    paths = dataclasses.replace(PATHS, galleries=galleries)
    monkeypatch.setattr("daah.gallery.location.PATHS", paths)
    return workspace


def run(words: list[str]) -> str:
    """What a command of this project prints."""
    done = CliRunner().invoke(app, words[3:])
    assert done.exit_code == 0, (words, done.stdout, done.stderr)
    return done.stdout


def run_all(document: str, scope: dict) -> None:
    """Run the blocks of a document in their order, as a reader does, in the current folder."""
    for words in commands(BEFORE.get(document, "")):
        run(words)
    for block in blocks():
        if block.document == document and block.way == "commands":
            for words in block.commands:
                assert run(words)
        elif block.document == document and block.way == "python":
            code = block.text.replace(LOCAL, scope.get("address", LOCAL))
            exec(compile(code, f"{document}:{block.line}", "exec"), scope)


def documents() -> list[str]:
    """Documents with blocks that run."""
    return sorted({b.document for b in blocks() if b.way in ("python", "commands")})


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("document", [name for name in documents() if name in QUICK])
def test_blocks_that_need_no_model_run(document: str) -> None:
    run_all(document, {})


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize("document", [name for name in documents() if name not in QUICK])
def test_blocks_run(
    document: str,
    retriever: FaceRetriever,
    host: Callable[[App], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope: dict = {}
    if any("gradio_client" in b.text for b in blocks() if b.document == document):
        scope["address"] = host(build_app(retriever))
    launched: list[App] = []
    with monkeypatch.context() as patch:
        # The documents' apps would serve until somebody stops them.
        patch.setattr(App, "launch", lambda demo, **_: launched.append(demo))
        run_all(document, scope)
    for demo in launched:
        demo.close()
    if document == "README.md":
        assert re.search(r"\d+ of 256 bits", capsys.readouterr().out)
    if document == "docs/DEPLOY.md":
        assert len(launched) == 2
