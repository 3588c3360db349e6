"""What the program is made of, and that it speaks to nobody: pins, checksums, no pickle."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daah.gallery import BuildReport, Gallery
from daah.ui.page.examples import FOLDER
from tests.doubles.imports import imported
from tests.doubles.waiting import PATIENCE
from tests.safety.process import Process

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "app.py", *(ROOT / "daah").rglob("*.py")]


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_version_is_pinned(name: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith("-r requirements")]
    assert pins
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+==[\w.]+(; sys_platform == \"\w+\")?", pin), pin


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call in the program, with the name that is called."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, ast.unparse(node.func), node


def test_nothing_is_unpickled_or_run_as_code() -> None:
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in SOURCES:
        assert not modules & imported(path), path
    seen = set()
    for path, name, call in calls():
        seen.add(name)
        options = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert name not in ("eval", "exec", "compile", "os.system", "os.popen"), path
        assert options.get("shell") != "True", path
        assert options.get("allow_pickle") != "True", path
        if name in ("torch.load", "torch.serialization.load"):
            assert options.get("weights_only") == "True", path
        if name == "np.load":
            assert options.get("allow_pickle") == "False", path
    assert {"torch.load", "np.load"} <= seen  # so that the names above are those in use


#: What speaks to the Hub, when a command or a library user names a repository on it.
HUB = ROOT / "daah" / "models" / "hub.py"


def test_the_program_calls_no_address() -> None:
    clients = {"requests", "httpx", "urllib3", "aiohttp", "huggingface_hub", "ftplib", "smtplib"}
    assert {"huggingface_hub"} == clients & imported(HUB)
    for path in (path for path in SOURCES if path != HUB):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not clients & {alias.name.split(".")[0] for alias in node.names}, path
                assert "urllib.request" not in {alias.name for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.module.split(".")[0] not in clients, path
                assert node.module != "urllib.request", path


def test_a_whole_visit_reaches_nobody_but_this_computer(
    tmp_path: Path, orl_build: tuple[Gallery, BuildReport]
) -> None:
    """The shipped app from its start, every tab, while any other address fails and is noted."""
    noted = tmp_path / "noted"
    gallery = orl_build[0].folder
    with Process(tmp_path, command=("offline_app.py", noted, gallery)) as process:
        visitor = process.visitor()
        assert visitor.request("GET", "/").status == 200
        portrait = (FOLDER / "another-year.jpg").read_bytes()
        photo = visitor.photo("a.jpg", portrait)
        assert visitor.send("photo", values={"photo": photo}).values["people"]
        assert visitor.send("examples", "select", event_data={"index": 1}).error == ""
        both = {"photo-first": photo, "photo-second": photo}
        assert visitor.send("photo-first", values=both).values["verdict"]
        assert visitor.send("map", "select", event_data={"do": "map", "x": 0.4, "y": 0.4}).values
        own = {"own-name": "Ann", "own-photo": photo}
        assert "is added" in visitor.send("own-add", "click", own).values["own-done"]
        live = next(
            c["id"] for c in visitor.config["components"] if c["props"].get("elem_id") == "live"
        )
        frame = "data:image/jpeg;base64," + base64.b64encode(portrait).decode()
        body = {"data": frame, "fn_name": "frame", "component_id": live, "session_hash": "x"}
        assert json.loads(visitor.post("/gradio_api/component_server", body).body)["faces"]
        assert "event: complete" in visitor.search(photo).text
        assert process.stop() == 0
        log = process.log.read_text()
    assert not noted.exists(), noted.read_text()
    assert "Traceback" not in log


@pytest.mark.browser
def test_the_page_loads_nothing_from_elsewhere(public: str, browser: Any) -> None:
    asked: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(public)
        for tab in ("Compare", "Live", "Gallery", "How good is it", "About"):
            page.get_by_role("tab", name=tab).click()
            # What a tab refers to is asked for when it is shown; a script then answers after it.
            page.locator("[role=tabpanel]").filter(visible=True).first.wait_for()
            page.evaluate("document.fonts.ready.then(() => true)")
    assert len(asked) > 5
    assert not [url for url in asked if not url.startswith((public, "data:", "blob:"))]
