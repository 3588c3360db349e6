"""A visit of the page that needs no server: what it does, and that nothing leaves the browser."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from daah.data.sources import Photo
from daah.errors import ConfigError
from daah.gallery.device_file import read_faces
from daah.models.encoder import FaceEncoder
from scripts.build_web import build

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]


def upload(rgb: np.ndarray, name: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def ready(page: Any) -> None:
    page.locator("body[data-ready]").wait_for(state="attached")


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_a_whole_visit_sends_nothing(
    static_page: str,
    visit: Visit,
    orl_photos: list[Photo],
    astronaut: np.ndarray,
    tmp_path: Path,
) -> None:
    """Enrol, search, compare, Live, export, import; then again without a connection."""
    photos = {photo.name: photo.rgb for photo in orl_photos}
    page = visit("about:blank")
    requests = []
    page.context.on("request", lambda request: requests.append(request))
    page.goto(static_page)
    ready(page)

    tab(page, "Gallery")
    page.locator("#enrol-photos").set_input_files(
        [upload(photos["s1/1"], "Ada.png"), upload(photos["s12/1"], "Bo.png")]
    )
    expect(page.locator("#told")).to_have_text("2 faces added.")
    expect(page.locator("#album li")).to_have_count(2)

    tab(page, "Search")
    page.locator("#search-photo").set_input_files(upload(photos["s1/2"], "again.png"))
    expect(page.locator("#sentence")).to_contain_text("Match: Ada.")
    expect(page.locator("#people li")).to_have_count(2)
    expect(page.locator("#code svg.barcode rect")).to_have_count(256)
    page.locator("#search-photo").set_input_files(upload(astronaut, "stranger.png"))
    expect(page.locator("#sentence")).to_contain_text("No match")
    page.locator("#add-name").fill("Eileen")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#sentence")).to_contain_text("Match: Eileen. 256 of 256 bits agree.")
    blank = upload(np.full((300, 300, 3), 200, np.uint8), "blank.png")
    page.locator("#search-photo").set_input_files(blank)
    expect(page.locator("#sentence")).to_contain_text("No face was found")
    page.locator("#search-photo").set_input_files(
        {"name": "text.jpg", "mimeType": "image/jpeg", "buffer": b"not a photo"}
    )
    expect(page.locator("#sentence")).to_contain_text("not a photo that this browser can read")

    tab(page, "Compare")
    page.locator("#compare-0").set_input_files(upload(photos["s1/1"], "a.png"))
    page.locator("#compare-1").set_input_files(upload(photos["s1/2"], "b.png"))
    expect(page.locator("#verdict")).to_contain_text("Likely the same person")
    page.locator("#compare-1").set_input_files(upload(astronaut, "c.png"))
    expect(page.locator("#verdict")).to_contain_text("Probably different people")

    tab(page, "Live")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")
    expect(page.locator("#seen")).to_contain_text("Match: this looks like Bo.")
    tab(page, "Gallery")
    expect(page.locator("#camera")).to_have_text("Start the camera")

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export to a file").click()
    exported = tmp_path / "people.jsonl"
    waiting.value.save_as(exported)
    assert [face.person for face in read_faces(exported)] == ["Ada", "Bo", "Eileen"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete everything").click()
    expect(page.locator("#album li")).to_have_count(0)
    page.locator("#import").set_input_files(exported)
    expect(page.locator("#told")).to_have_text("3 of 3 faces added; the others were there.")

    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.context.set_offline(True)
    page.reload()
    ready(page)
    page.locator("#search-photo").set_input_files(upload(photos["s12/2"], "offline.png"))
    expect(page.locator("#sentence")).to_contain_text("Match: Bo.")
    page.context.set_offline(False)

    own = [request for request in requests if request.url.startswith("http")]
    assert own
    for request in own:
        assert request.url.startswith(static_page)
        assert (request.method, request.post_data_buffer) == ("GET", None)
        assert "?" not in request.url


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_the_keyboard_and_axe(
    static_page: str, visit: Visit, orl_photos: list[Photo], dark: bool
) -> None:
    page = visit(static_page, width=390, height=844, dark=dark)
    ready(page)
    page.locator("#search-photo").set_input_files(upload(orl_photos[0].rgb, "s1.png"))
    expect(page.locator("#sentence")).to_contain_text("1 face found.")
    page.get_by_role("tab", name="Search").focus()
    for name in ("search", "compare", "live", "gallery"):
        assert page.locator("[role=tabpanel]:visible").get_attribute("id") == name
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, name
        found = Axe().run(page).response["violations"]
        assert not found, [(name, rule["id"], rule["nodes"][0]["html"]) for rule in found]
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("delete globalThis.WebAssembly;", "it lacks WebAssembly with SIMD"),
        ("delete globalThis.OffscreenCanvas;", "cannot run the networks beside the page"),
        (
            "Object.defineProperty(navigator, 'deviceMemory', { value: 0.5 });",
            "too little memory for the networks",
        ),
    ],
)
def test_a_browser_that_cannot_is_told(
    static_page: str, visit: Visit, script: str, words: str
) -> None:
    page = visit("about:blank")
    page.add_init_script(script)
    page.goto(static_page)
    expect(page.locator("#status")).to_contain_text(words)
    expect(page.locator("#search-photo")).to_be_disabled()


def test_a_camera_on_a_phone_that_lies_and_one_that_is_refused(
    static_page: str, visit: Visit
) -> None:
    page = visit(static_page, width=844, height=390)
    ready(page)
    tab(page, "Live")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")
    assert page.evaluate("document.documentElement.scrollWidth") <= 844
    assert page.locator("#stage").bounding_box()["height"] <= 390
    page.get_by_role("button", name="Other camera").click()
    expect(page.locator("#rate")).to_contain_text("frames a second")
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.locator("#stage")).to_be_hidden()
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')); }"
    )
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#seen")).to_contain_text("The browser gives no camera to this page.")


def test_a_file_that_is_none_is_named(static_page: str, visit: Visit) -> None:
    page = visit(static_page)
    ready(page)
    tab(page, "Gallery")
    head = json.dumps({"format": "daah faces", "version": 1})
    for text, words in (
        ("nothing", "Line 1 of the file is not a JSON object."),
        ("{}", "This is not a file of faces"),
        (f'{head}\n{{"person": "Ada"}}', "Line 2 lacks a person"),
    ):
        page.locator("#import").set_input_files(
            {"name": "p.jsonl", "mimeType": "text/plain", "buffer": text.encode()}
        )
        expect(page.locator("#told")).to_contain_text(words)


def test_heatmaps_have_the_colours_of_the_app(static_page: str, visit: Visit) -> None:
    page = visit(static_page)
    found = page.evaluate(
        """async () => {
          const { COLOURS } = await import(new URL("engine/colours.js", location.href));
          return [...COLOURS];
        }"""
    )
    steps = matplotlib.colormaps["viridis"](np.arange(256))[:, :3]
    assert found == np.rint(255 * steps).astype(int).ravel().tolist()


def test_the_folder_is_a_static_space_with_the_servers_own_networks(
    built: Path, encoder: FaceEncoder
) -> None:
    assert "sdk: static" in (built / "README.md").read_text()
    model = json.loads((built / "models" / "model.json").read_text())
    assert model["fingerprint"] == encoder.fingerprint
    assert all((built / path).is_file() for path in model["files"].values())
    listed = json.loads((built / "files.json").read_text())["files"]
    assert all((built / name).exists() for name in listed)
    assert max(path.stat().st_size for path in built.rglob("*")) < 10_000_000


def test_every_module_that_is_imported_is_there(built: Path) -> None:
    for module in built.rglob("*.js"):
        for name in re.findall(r'from "(\.{1,2}/[^"]+)"', module.read_text()):
            assert (module.parent / name).is_file(), (module.name, name)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="holds something else"):
        build(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_a_build_replaces_the_one_before(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "web")
    (tmp_path / "web" / "old.js").write_text("")
    build(tmp_path / "web")
    assert not (tmp_path / "web" / "old.js").exists()
    assert (tmp_path / "web" / "files.json").read_bytes() == (built / "files.json").read_bytes()
