"""Public functions and classes document parameters, results and errors under Google's headings.

In the modules of `COVERED`
- a function has `Args:` with its parameters and no other name, `Returns:` or `Yields:` unless it
  returns None, and `Raises:` with every error class that its own body raises and does not catch;
- a class has the same for its `__init__`, in its own docstring or in that of `__init__`;
- a dataclass or named tuple names its fields under `Attributes:`, or has a `#:` comment above each.

Exempt are
- names with a leading underscore, and whatever is inside of them;
- nested functions, properties, and dunder methods except for `__init__`;
- event handlers of the page, and commands, whose docstring is their help text (not in `COVERED`);
- a function without parameters whose one-line docstring says what it returns, from `Returns:`;
- a method that fulfils a documented contract, from all but the errors that the contract does not
  name: one without a docstring whose base class has one, or one that says "See `Base.method`."

The source is parsed, not imported. ruff checks the form of the headings, and in all other code that
an `Args:` leaves out no parameter (pyproject.toml).
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Modules, and packages with all of their modules.
COVERED = (
    "daah.cli.console",
    "daah.codes",
    "daah.comparison",
    "daah.config",
    "daah.data",
    "daah.detection",
    "daah.evaluation",
    "daah.extras",
    "daah.files",
    "daah.formats",
    "daah.gallery",
    "daah.images",
    "daah.metrics",
    "daah.models.calibration",
    "daah.models.checkpoint",
    "daah.models.encoder",
    "daah.models.graph",
    "daah.models.hub",
    "daah.parallel",
    "daah.paths",
    "daah.plots",
    "daah.reading",
    "daah.retrieval",
    "daah.stores",
    "daah.training.loop",
    "daah.training.losses",
    "daah.training.recipes.bank",
    "daah.training.recipes.covers",
    "daah.training.recipes.demo",
    "daah.training.recipes.gated_attention",
    "daah.training.recipes.nested_code",
    "daah.training.runs",
    "daah.training.steps",
    "daah.types",
    "daah.ui.app",
    "daah.ui.endpoint",
    "daah.ui.mcp",
    "daah.ui.rest.admission",
    "daah.ui.rest.api",
    "daah.ui.rest.service",
    "daah.ui.serve",
    "daah.ui.settings",
)

_NAMED = ("Args", "Attributes", "Raises")
_HEADINGS = (*_NAMED, "Returns", "Yields")
#: Annotations of functions that return nothing, context managers included.
_NOTHING = ("None", "NoReturn", "Iterator[None]", "AsyncIterator[None]")
_SEE = re.compile(r"\bSee `(?:[\w.]+\.)?(\w+)\.(\w+)`")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Member:
    """A public function or class. fields: of a dataclass or named tuple, without a comment."""

    name: str
    node: Function | ast.ClassDef
    owner: ast.ClassDef | None = None
    fields: tuple[str, ...] = field(default=())


# --- the source ------------------------------------------------------------------------------


@functools.cache
def sources() -> dict[str, str]:
    """The text of every module of daah, by its dotted name."""
    found = {}
    for path in sorted((ROOT / "daah").rglob("*.py")):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


@functools.cache
def classes() -> dict[str, ast.ClassDef]:
    """Every class of daah by its name, to find the method that another one overrides."""
    trees = [ast.parse(text) for text in sources().values()]
    return {
        node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)
    }


def covered() -> Iterator[Member]:
    for module, text in sources().items():
        if any(module == name or module.startswith(f"{name}.") for name in COVERED):
            yield from members(module, text)


def members(module: str, text: str) -> Iterator[Member]:
    """Public functions, classes and methods of a module."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, Function) and _is_public(node):
            yield Member(f"{module}.{node.name}", node)
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        yield Member(f"{module}.{node.name}", node, node, _fields(node, lines))
        for method in node.body:
            if isinstance(method, Function) and _is_public(method):
                yield Member(f"{module}.{node.name}.{method.name}", method, node)


def _is_public(node: Function) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    is_property = any(name.split(".")[-1] in ("property", "setter") for name in decorators)
    return not node.name.startswith("_") and not is_property


def _fields(node: ast.ClassDef, lines: list[str]) -> tuple[str, ...]:
    """Fields of a dataclass or named tuple, but for those with a `#:` comment above."""
    made = [ast.unparse(part) for part in (*node.decorator_list, *node.bases)]
    if not any(name.startswith(("dataclass", "NamedTuple")) for name in made):
        return ()
    return tuple(
        part.target.id
        for part in node.body
        if isinstance(part, ast.AnnAssign)
        and isinstance(part.target, ast.Name)
        and not part.target.id.startswith("_")
        and not lines[part.lineno - 2].strip().startswith("#:")
    )


def parameters(node: Function) -> list[str]:
    found = node.args
    named = [a.arg for a in (*found.posonlyargs, *found.args, *found.kwonlyargs)]
    named += [a.arg for a in (found.vararg, found.kwarg) if a is not None]
    return [name for name in named if name not in ("self", "cls") and not name.startswith("_")]


def raised(node: Function) -> set[str]:
    """Names of errors that the function's own body raises and does not catch itself."""
    found: set[str] = set()

    def visit(part: ast.AST, caught: frozenset[str]) -> None:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            return
        if isinstance(part, ast.Raise) and part.exc is not None:
            error = part.exc.func if isinstance(part.exc, ast.Call) else part.exc
            name = ast.unparse(error).split(".")[-1]
            if name[0].isupper() and not caught & {name, "Exception", "BaseException"}:
                found.add(name)
        if isinstance(part, ast.Try):
            types = [handler.type for handler in part.handlers]
            names = [ast.unparse(kind) if kind else "BaseException" for kind in types]
            inner = caught | set(re.findall(r"\w+", " ".join(names)))
            for statement in part.body:
                visit(statement, inner)
            for statement in (*part.handlers, *part.orelse, *part.finalbody):
                visit(statement, caught)
            return
        for child in ast.iter_child_nodes(part):
            visit(child, caught)

    for statement in node.body:
        visit(statement, frozenset())
    return found


# --- the docstring ---------------------------------------------------------------------------


def sections(text: str) -> dict[str, list[str]]:
    """Headings of a docstring, each with the names that it explains."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            heading = line.rstrip(":") if line.rstrip(":") in _HEADINGS else ""
            if heading:
                found[heading] = []
        elif heading in _NAMED and (item := re.match(r" {4}(\S[^:]*):", line)):
            found[heading] += [name.strip(" *") for name in item[1].split(",")]
    return found


def contract(member: Member) -> Function | None:
    """The method of a class of daah that this one says, or need not say, that it fulfils."""
    if member.owner is None or member.node is member.owner:
        return None
    text = ast.get_docstring(member.node)
    if text is None:
        return _inherited(member.owner, member.node.name)
    if (see := _SEE.search(text)) and see[2] == member.node.name and see[1] in classes():
        return _method(classes()[see[1]], see[2])
    return None


def _inherited(owner: ast.ClassDef, name: str) -> Function | None:
    for base in owner.bases:
        known = classes().get(ast.unparse(base).split("[")[0].split(".")[-1])
        if known is None:
            continue
        method = _method(known, name)
        if method is not None and ast.get_docstring(method):
            return method
        if (further := _inherited(known, name)) is not None:
            return further
    return None


def _method(owner: ast.ClassDef, name: str) -> Function | None:
    return next((m for m in owner.body if isinstance(m, Function) and m.name == name), None)


# --- the rules -------------------------------------------------------------------------------


def complaints(member: Member) -> list[str]:
    """What the docstring of a public function or class lacks, or says too much."""
    node = member.node
    rules = of_class if isinstance(node, ast.ClassDef) else of_function
    return [f"{member.name}: {complaint}" for complaint in rules(member)]


def of_class(member: Member) -> Iterator[str]:
    assert isinstance(member.node, ast.ClassDef)
    text = ast.get_docstring(member.node)
    if text is None:
        yield "lacks a docstring"
        return
    found = sections(text)
    if member.fields:
        yield from _compared("Attributes", found.get("Attributes", []), list(member.fields))
    for name in ("__init__", "__post_init__"):
        method = _method(member.node, name)
        if method is None:
            continue
        own = sections(ast.get_docstring(method) or "")
        if name == "__init__":
            yield from _compared("Args", own.get("Args", found.get("Args", [])), parameters(method))
        yield from _errors({*own.get("Raises", ()), *found.get("Raises", ())}, method)


def of_function(member: Member) -> Iterator[str]:
    node = member.node
    assert not isinstance(node, ast.ClassDef)
    text = ast.get_docstring(node)
    if (fulfilled := contract(member)) is not None:
        said = {*sections(text or "").get("Raises", ())}
        said |= {*sections(ast.get_docstring(fulfilled) or "").get("Raises", ())}
        yield from _errors(said, node)
        return
    if text is None:
        yield "lacks a docstring"
        return
    found = sections(text)
    see = _SEE.search(text)
    if see and see[2] == node.name:
        if see[1] in classes():
            yield f"See {see[0][4:]}, which there is not"
    else:
        yield from _compared("Args", found.get("Args", []), parameters(node))
        nothing = node.returns is None or ast.unparse(node.returns) in _NOTHING
        brief = not parameters(node) and len(text.splitlines()) == 1
        if not nothing and not brief and not {"Returns", "Yields"} & found.keys():
            yield "lacks Returns:"
    yield from _errors({*found.get("Raises", ())}, node)


def _compared(heading: str, named: list[str], wanted: list[str]) -> Iterator[str]:
    if missing := [name for name in wanted if name not in named]:
        yield f"{heading}: lacks {', '.join(missing)}"
    if surplus := [name for name in named if name not in wanted]:
        yield f"{heading}: names {', '.join(surplus)}, which there is not"


def _errors(named: set[str], node: Function) -> Iterator[str]:
    if missing := sorted(raised(node) - named):
        yield f"Raises: lacks {', '.join(missing)}"


def test_public_functions_document_parameters_results_and_errors() -> None:
    wrong = [complaint for member in covered() for complaint in complaints(member)]
    assert wrong == []


def test_every_covered_name_is_there() -> None:
    known = sources()
    assert [name for name in COVERED if name not in known] == []


_CASES = {
    "def f(a: int) -> None: ...": ["lacks a docstring"],
    'def f(a: int) -> None:\n "Do."': ["Args: lacks a"],
    'def f(a, *b, **c):\n """Do.\n\n Args:\n     a: one.\n """': ["Args: lacks b, c"],
    'def f() -> None:\n """Do.\n\n Args:\n     a: one.\n """': ["Args: names a"],
    'def f(a) -> int:\n """Do.\n\n Args:\n     a: one.\n """': ["lacks Returns:"],
    'def f() -> int:\n """Seven.\n\n Always.\n """': ["lacks Returns:"],
    'def f() -> int:\n "Seven."': [],
    'def f() -> None:\n "Do."\n raise errors.DataError("no")': ["Raises: lacks DataError"],
    'def f() -> None:\n "Do."\n try:\n  raise KeyError\n except KeyError:\n  pass': [],
    'def f() -> None:\n "Do."\n def g(a): raise KeyError(a)': [],
    "def _f(a): return a\nclass _C:\n def f(self, a): return a": [],
    'class C:\n "It."\n def __init__(self, a): ...': ["Args: lacks a"],
    'class C:\n "It."\n @property\n def f(self) -> int:\n  "Six.\\n\\nSeven."': [],
    'class C:\n "It."\n def __call__(self, a) -> int: ...': [],
    '@dataclass\nclass C:\n "It."\n a: int\n #: Two.\n b: int': ["Attributes: lacks a"],
    'class C:\n "It."\n def search(self, codes):\n  "See `CodeStore.search`."': [],
    'class C:\n "It."\n def seek(self, codes):\n  "See `CodeStore.seek`."': ["which there is not"],
    'class C(CodeStore):\n "It."\n def compact(self): raise OSError': ["Raises: lacks OSError"],
}


@pytest.mark.parametrize("source", _CASES)
def test_rules(source: str) -> None:
    found = [line for member in members("m", source) for line in complaints(member)]
    assert len(found) == len(_CASES[source]), found
    assert all(part in line for part, line in zip(_CASES[source], found, strict=True)), found
