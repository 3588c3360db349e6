"""Files that a repository is expected to bring: they parse, and say what the project says."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import pytest
import yaml

import daah
from scripts import make_badges
from tests.project.test_requirements import pins

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


# --- citation -------------------------------------------------------------------------------------


def test_the_citation_has_what_the_format_demands() -> None:
    cited = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    paper = cited["preferred-citation"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["type"] == "conference-paper"
    assert all({"family-names", "given-names"} == author.keys() for author in paper["authors"])
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])
    assert isinstance(paper["year"], int)


def test_the_citation_is_of_this_software_and_of_its_paper() -> None:
    cited = read("CITATION.cff")
    assert cited["version"] == daah.__version__
    assert cited["license"] == PROJECT["license"]
    (holder,) = cited["authors"]
    assert holder["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    paper, readme = cited["preferred-citation"], (ROOT / "README.md").read_text(encoding="utf-8")
    families = [author["family-names"] for author in paper["authors"]]
    names = f"{', '.join(families[:-1])} and {families[-1]}"
    for said in (paper["title"], names, paper["doi"], str(paper["year"])):
        assert said in " ".join(readme.split())


# --- continuous integration -----------------------------------------------------------------------


def test_the_workflow_runs_the_same_command_on_every_python() -> None:
    workflow = read(".github/workflows/ci.yml")
    job = workflow["jobs"]["check"]
    start = "Programming Language :: Python :: "
    promised = [c.removeprefix(start) for c in PROJECT["classifiers"] if c.startswith(start)]
    assert job["strategy"]["matrix"]["python"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true


def test_the_command_takes_another_python() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'PYTHON="${PYTHON:-python3}"' in script
    # Afterwards `python` is that of the environment.
    assert not re.search(r"(?m)^\s*python3", script)


# --- tools ----------------------------------------------------------------------------------------


def test_pre_commit_runs_the_ruff_that_is_pinned() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["rev"] == f"v{pins('requirements-dev.txt')['ruff']}"
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff-check", "ruff-format"]


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_forms_have_the_fields_that_the_format_demands(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields
    for field in fields:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes")
        assert field["attributes"]["label"]
    assert len({field["id"] for field in fields}) == len(fields)


def test_there_are_forms_for_bugs_and_for_features() -> None:
    assert [path.stem for path in TEMPLATES] == ["bug_report", "feature_request"]
    named = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github").rglob("*.*"))
    for document in re.findall(r"(?:docs/)?[A-Z_]+\.md", named):
        assert (ROOT / document).is_file(), document


# --- changelog and badges -------------------------------------------------------------------------


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", text)
    assert headings[0] == "[Unreleased]"
    for heading in headings[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading), heading
    kinds = set(re.findall(r"(?m)^### (.+)$", text))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert daah.__version__ in text


def test_badges_are_current_and_shown() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = make_badges.badges()
    for name, text in drawn.items():
        assert (make_badges.FOLDER / name).read_text(encoding="utf-8") == text
        assert f"docs/images/{name})" in readme
        assert xml.fromstring(text).tag.endswith("svg")
    assert {path.name for path in make_badges.FOLDER.glob("badge-*")} == drawn.keys()
