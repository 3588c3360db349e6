"""What documents, docstrings and comments point at is there: links, files, modules, commands."""

from __future__ import annotations

import ast
import functools
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest
from typer.main import get_command

from daah.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "checkpoints", "daah", "docs", "gallery", "scripts", "tests")
#: Folders that a run makes, here or in the cache, and places that an operator chooses.
MADE = (
    "daah/milvus",
    *(
        "gallery/congress",
        "gallery/orl",
        "gallery/family",
        "gallery/lfw",
        "gallery/mine",
        "gallery/NAME",
    ),
)
_PATH = re.compile(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)")


@functools.cache
def said() -> dict[str, str]:
    """Every document, and the docstrings and comments of every module, by the file's name."""
    folders = [ROOT / name for name in FOLDERS]
    documents = [*ROOT.glob("*.md"), *(path for f in folders for path in f.rglob("*.md"))]
    modules = [ROOT / "app.py", *(path for f in folders for path in f.rglob("*.py"))]
    texts = {path: path.read_text(encoding="utf-8") for path in sorted([*documents, *modules])}
    return {
        path.relative_to(ROOT).as_posix(): _explained(text) if path.suffix == ".py" else text
        for path, text in texts.items()
    }


def _explained(source: str) -> str:
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, scopes))
    texts = [ast.get_docstring(node) or "" for node in nodes]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    texts += [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join(texts)


def test_links_lead_to_files_and_headings() -> None:
    wrong = []
    for name, text in said().items():
        links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", text)
        for target, heading in links if name.endswith(".md") else ():
            path = (ROOT / name).parent / target if target else ROOT / name
            if "$" in target:  # filled in when the page is drawn
                continue
            if not path.exists() or (heading and heading not in _headings(path)):
                wrong.append((name, target, heading))
    assert wrong == []


def _headings(document: Path) -> set[str]:
    """Anchors as they are made of headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_paths_that_are_named_exist() -> None:
    """Endings may be left out. A word in capitals stands for a name of somebody's choice."""
    wrong = []
    for name, text in said().items():
        for found in _PATH.findall(text):
            path, chosen = ROOT / found, re.search(r"\b[A-Z]{4,}\b(?!\.md|_)", found)
            if found.startswith(MADE) or chosen or path.exists():
                continue
            if not list(path.parent.glob(f"{path.name}.*")):
                wrong.append((name, found))
    assert wrong == []


def test_documents_that_are_named_exist() -> None:
    """A file's name ends in .md, and somewhere in the project there is one of that name."""
    known = {Path(name).name for name in said()}
    wrong = []
    for name, text in said().items():
        here = re.sub(r"https?://\S+", "", text)
        wrong += [
            (name, found) for found in re.findall(r"[\w-]+\.md\b", here) if found not in known
        ]
    assert wrong == []


def test_modules_and_what_is_in_them_exist() -> None:
    wrong = []
    for name, text in said().items():
        for dotted in re.findall(r"\b(daah(?:\.[A-Za-z_]\w*)+)(?!/)", text):
            if not dotted.endswith(".ipynb") and not _resolves(dotted):
                wrong.append((name, dotted))
        for dotted in re.findall(r"python -m ((?:daah|benchmarks|scripts)[\w.]*\w)", text):
            path = ROOT / dotted.replace(".", "/")
            if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
                wrong.append((name, dotted))
    assert wrong == []


def test_names_without_the_package_exist() -> None:
    """The guide for contributors leaves `daah` out, the comparison the folder of its methods."""
    guide = said()["CONTRIBUTING.md"]
    packages = "|".join(sorted(path.stem for path in (ROOT / "daah").glob("[a-z]*")))
    dotted = re.findall(rf"`((?:{packages})(?:\.\w+)+)`", guide)
    assert len(dotted) > 30
    assert [name for name in dotted if not _resolves(f"daah.{name}")] == []
    files = re.findall(rf"`((?:{packages})/[\w/]+\.py)`", guide)
    assert len(files) > 10
    assert [name for name in files if not (ROOT / "daah" / name).is_file()] == []
    rows = re.findall(r"^\| [\w ()-]+ \| (`\w+\.py`.*?) \|", said()["docs/COMPARISON.md"], re.M)
    assert len(rows) == 23
    methods = ROOT / "daah" / "comparison" / "methods"
    named = re.findall(r"`(\w+\.py)`", " ".join(rows))
    assert [name for name in named if not (methods / name).is_file()] == []


@functools.cache
def _resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.slow
def test_commands_and_their_options_exist() -> None:
    wrong = []
    for name, text in said().items():
        joined = text.replace("\\\n", " ")
        for line in re.findall(r"(?:python|launch)?[^\n`]* -m daah ([a-z][^\n#`]*)", joined):
            command, arguments = get_command(app), line.split()
            while arguments and arguments[0] in getattr(command, "commands", {}):
                command = command.commands[arguments.pop(0)]
            known = {"--help"} | {
                option for part in command.params for option in part.opts + part.secondary_opts
            }
            used = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", line))
            if not used <= known or (hasattr(command, "commands") and arguments[:1]):
                wrong.append((name, line))
    assert wrong == []
