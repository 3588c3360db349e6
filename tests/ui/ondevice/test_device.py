"""The page with the engine in the visitor's browser, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request, expect

from daah.gallery import Gallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.page.examples import FOLDER
from daah.ui.settings import Settings
from tests.doubles.waiting import PATIENCE

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]

#: Bytes of a request that brings a code of 256 bits, and nothing else.
CODE = len('{"code":"","people":24}') + 64

#: Bytes of Gradio's own requests: which tab was turned to.
EVENT = 1_000

#: What serves a tab while the switch is on.
PANELS = {"Search": "#device-search", "Compare": "#device-compare", "Live": "#live"}

FRAMES = re.compile(r"\d frames a second, on this device")

NO_WASM = "delete globalThis.WebAssembly;"
LITTLE_MEMORY = "Object.defineProperty(navigator, 'deviceMemory', {get: () => 0.5});"
REFUSED = """navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("", "NotAllowedError");
};"""


def turn_on(page: Page) -> None:
    """Turn the switch, and wait for the networks."""
    page.locator("#device input").check()
    expect(page.locator("#device .switch")).to_have_attribute("data-state", "ready")


def turn_to(page: Page, tab: str) -> None:
    """Turn to a tab."""
    page.get_by_role("tab", name=tab, exact=True).click()


def start_search(page: Page) -> None:
    """Turn to Search, and to the length that a page starts with: other tests share the page."""
    turn_to(page, "Search")
    page.locator('#device-search [name="device-bits"][value="256"]').check(force=True)


def sentence(page: Page, tab: str = "search") -> Any:
    """The live region of a panel."""
    return page.locator(f"#device-{tab} [data-part=sentence]")


def give(page: Page, name: str, field: str = "#device-search") -> None:
    """Give an example photo to a field as one's own."""
    page.locator(f"{field} input[type=file]").set_input_files(FOLDER / name)


def film(page: Page) -> None:
    """Start the camera of Live, and wait until this device looks at its frames."""
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live .rate")).to_have_text(FRAMES)


@pytest.fixture(scope="module")
def here(browser: Any, app: str) -> Iterator[Page]:
    """A page whose switch is on, with the networks loaded. Tests share it."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        permissions=["clipboard-read", "clipboard-write", "camera"],
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app)
    turn_on(page)
    yield page
    context.close()
    offline = ("ERR_INTERNET_DISCONNECTED",)  # on purpose
    assert not [text for text in errors if not any(known in text for known in offline)]


@pytest.fixture
def sent(here: Page) -> Iterator[list[Request]]:
    """What the shared page requests during a test."""
    seen: list[Request] = []

    def see(request: Request) -> None:
        seen.append(request)

    here.on("request", see)
    yield seen
    here.remove_listener("request", see)


def bodies(sent: list[Request], path: str = "") -> list[bytes]:
    """Bodies of what was sent to addresses that contain `path`."""
    return [r.post_data_buffer or b"" for r in sent if path in r.url and r.method != "GET"]


def test_no_photo_leaves_the_device_in_a_whole_visit(
    here: Page, sent: list[Request], keep: Callable[..., None]
) -> None:
    start_search(here)
    give(here, "group.jpg")
    expect(sentence(here)).to_contain_text(re.compile("5 faces found: .*bits agree"))
    expect(here.locator("#device-search .chip")).to_have_count(5)
    expect(here.locator("#device-search .chip").last).to_contain_text("Keith Ellison")
    here.locator("#device-search .chip").nth(1).click()
    expect(sentence(here)).to_contain_text("Face 2: Match: Elijah E. Cummings.")
    here.locator("#device-search [data-over]").check()
    keep(here, "search")
    here.locator('#device-search [name="device-bits"][value="64"]').check(force=True)
    expect(sentence(here)).to_contain_text("of 64 bits agree")
    turn_to(here, "Compare")
    give(here, "years-younger.jpg", "#device-compare [data-part=first]")
    give(here, "years-older.jpg", "#device-compare [data-part=second]")
    expect(sentence(here, "compare")).to_contain_text("of 256 bits differ")
    expect(here.locator("#device-compare .compare")).to_have_count(2)
    keep(here, "compare")
    turn_to(here, "Live")
    film(here)
    here.get_by_role("button", name="Stop").click()
    for tab in ("Gallery", "Methods"):
        turn_to(here, tab)
        expect(here.locator(f"#{tab.lower()}-note")).to_be_visible()
    expect(here.locator("#photo-methods")).to_be_hidden()
    codes_sent = bodies(sent, "/on-device/search")
    assert len(codes_sent) == 10  # five faces by two lengths
    assert all(len(body) <= CODE for body in codes_sent)
    assert all(len(body) < EVENT for body in bodies(sent))
    assert not any("upload" in request.url for request in sent)


def test_the_answer_is_the_servers(here: Page, congress: FaceRetriever) -> None:
    from daah.images import read_image

    start_search(here)
    for name in ("grayscale.jpg", "not-in-the-gallery.jpg"):
        (face,) = congress.search(read_image(FOLDER / name), k=1).faces
        give(here, name)
        verdict = face.people[0].verdict
        expect(here.locator("#device-search .best .verdict")).to_have_text(
            {"match": "Match", "unclear": "Unclear", "no match": "No match"}[verdict]
        )
        flaws = face.quality.words
        if flaws:
            expect(sentence(here)).to_contain_text(f"This face is {flaws}")
        if verdict == "match":
            expect(sentence(here)).to_contain_text(f"Match: {face.people[0].name}.")
            expect(here.locator("#device-search .best")).to_contain_text("fewer than 3 in 1,000")
    here.locator("#device-search").get_by_role("button", name="Add this face").click()
    added = re.compile(r'Remembered as "(You( \d)?)" .*Match: \1\. 256 of 256 bits agree\.')
    expect(sentence(here)).to_contain_text(added)


def test_attention_and_what_cannot_be_read(here: Page) -> None:
    start_search(here)
    give(here, "grayscale.jpg")
    expect(here.locator("#device-search .best h3")).to_have_text("Elton Gallegly")
    own = here.locator("#device-search .barcode").inner_html()
    here.locator('[name="device-attention"][value="off"]').check(force=True)
    expect(sentence(here)).to_contain_text("Attention is off.")
    assert here.locator("#device-search .barcode").inner_html() != own
    give(here, "no-face.jpg")
    expect(sentence(here)).to_have_text(re.compile("^No face found"))
    expect(here.locator("#device-search .best")).to_have_count(0)
    broken = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"}
    here.locator("#device-search input[type=file]").set_input_files(broken)
    expect(sentence(here)).to_contain_text("not a photo that this browser can read")


def test_it_works_without_the_connection(here: Page) -> None:
    turn_to(here, "Compare")
    here.context.set_offline(True)
    try:
        give(here, "another-year.jpg", "#device-compare [data-part=first]")
        give(here, "another-person.jpg", "#device-compare [data-part=second]")
        expect(sentence(here, "compare")).to_contain_text(re.compile("different people|Undecided"))
        turn_to(here, "Search")
        give(here, "grayscale.jpg")
        expect(sentence(here)).to_contain_text("Search needs the connection")
        expect(here.locator("#device-search .barcode")).to_be_visible()
    finally:
        here.context.set_offline(False)


def test_live_asks_nothing_of_the_server(
    here: Page, sent: list[Request], keep: Callable[..., None]
) -> None:
    turn_to(here, "Live")
    words = here.locator("#live [data-live=words]")
    expect(here.locator("#live [data-live=where]")).to_contain_text("Nothing is sent")
    expect(here.get_by_role("button", name="Use the server's engine")).to_be_hidden()
    film(here)
    expect(words).to_contain_text(re.compile("Match: this looks like You|nobody in the gallery"))
    sent.clear()
    count = "() => { globalThis.frames_drawn = 0; const own = HTMLCanvasElement.prototype; "
    here.evaluate(
        count + "const pen = document.querySelector('#live canvas').getContext('2d'); "
        "const draw = pen.fillText.bind(pen); "
        "pen.fillText = (...all) => { globalThis.frames_drawn += 1; draw(...all); }; void own; }"
    )
    here.wait_for_function("globalThis.frames_drawn >= 10")
    assert sent == []
    expect(here.locator("#live .live-code")).to_be_visible()
    keep(here)
    here.get_by_role("button", name="Remember me").click()
    expect(words).to_contain_text(re.compile('Remembered as "You( 2)?" on this device'))
    here.evaluate("document.querySelector('#live video').srcObject.getTracks()[0]"
                  ".dispatchEvent(new Event('ended'))")  # fmt: skip
    expect(words).to_contain_text("The camera was taken away.")
    film(here)
    turn_to(here, "Search")
    turn_to(here, "Live")
    expect(words).to_have_text("The camera stopped because the page was left.")
    assert sent == [] or all(len(body) < EVENT for body in bodies(sent))


def test_axe_finds_nothing(here: Page) -> None:
    start_search(here)
    give(here, "group.jpg")
    expect(sentence(here)).to_contain_text("5 faces found")
    expect(here.locator("#device-search .chip").last).to_contain_text("Keith Ellison")
    found = {}
    for tab, place in (
        ("Search", "#device-search"),
        ("Compare", "#device-compare"),
        ("Live", "#live"),
    ):
        turn_to(here, tab)
        expect(here.locator(place)).to_be_visible()
        for part in (place, "#device"):
            for violation in Axe().run(here, context=part).response["violations"]:
                found[part, violation["id"]] = [node["html"][:200] for node in violation["nodes"]]
    assert not found


def test_live_uses_this_device_and_the_server_by_choice(app: str, visit: Visit) -> None:
    page = visit(f"{app}?tab=live")
    film(page)
    page.get_by_role("button", name="Use the server's engine").click()
    expect(page.locator("#live .rate")).to_contain_text("on the server")
    expect(page.locator("#live [data-live=where]")).to_contain_text("Frames go to this server")
    page.get_by_role("button", name="Use this device's engine").click()
    expect(page.locator("#live .rate")).to_have_text(FRAMES)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#live [data-live=words]")).to_have_text("The camera is off.")


def test_the_switch_is_remembered_on_every_screen(
    app: str, visit: Visit, keep: Callable[..., None]
) -> None:
    page = visit(app, width=390, height=844, has_touch=True)
    expect(page.locator("#photo")).to_be_visible()
    turn_on(page)
    expect(page.locator("#photo")).to_be_hidden()
    page.goto(f"{app}?example=grayscale")
    expect(page.locator("#photo")).to_be_hidden()
    expect(sentence(page)).to_contain_text("Match: Elton Gallegly.")
    page.locator("#device-search").get_by_role("button", name="No face").tap()
    expect(page).to_have_url(re.compile("example=no-face"))
    expect(sentence(page)).to_contain_text("No face found.")
    keep(page, "portrait")
    for width, height in ((390, 844), (844, 390)):
        page.set_viewport_size({"width": width, "height": height})
        for tab in ("Search", "Compare", "Live"):
            turn_to(page, tab)
            expect(
                page.locator("#live" if tab == "Live" else f"#device-{tab.lower()}")
            ).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (tab, width)
    keep(page, "landscape")
    page.keyboard.press("Tab")
    page.locator("#device input").focus()
    page.keyboard.press("Space")
    turn_to(page, "Search")
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator("#device-search")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('face-hash-search-on-device')") is None


@pytest.mark.parametrize(
    ("script", "words"),
    [(NO_WASM, "lacks WebAssembly"), (LITTLE_MEMORY, "too little memory")],
    ids=["wasm", "memory"],
)
def test_a_browser_that_cannot_says_so_and_uses_the_server(
    app: str, visit: Visit, script: str, words: str
) -> None:
    page = visit("about:blank")
    page.add_init_script(script + "localStorage.setItem('face-hash-search-on-device', 'on');")
    page.goto(f"{app}?tab=live")
    expect(page.locator("#device [data-words]")).to_contain_text(words)
    expect(page.locator("#device input")).to_be_disabled()
    expect(page.locator("#live [data-live=words]")).to_contain_text(
        "the server looks at the frames"
    )
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live .rate")).to_contain_text("on the server")
    page.get_by_role("button", name="Stop").click()
    turn_to(page, "Search")
    expect(page.locator("#photo")).to_be_visible()


def test_a_camera_that_is_refused_is_told(app: str, visit: Visit) -> None:
    page = visit("about:blank")
    page.add_init_script(REFUSED)
    page.goto(f"{app}?tab=live")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live [data-live=words]")).to_contain_text("The camera was refused.")
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()


def test_codes_of_a_private_gallery_are_asked_for_one_by_one(
    tmp_path: Path, congress: FaceRetriever, host: Callable[[App], str], visit: Visit
) -> None:
    with Gallery.open(tmp_path / "mine", congress.encoder) as gallery:
        retriever = FaceRetriever(congress.detector, congress.encoder, gallery)
        page = visit(f"{host(build_app(retriever, Settings(), {}))}?tab=live")
        sent: list[Request] = []
        page.on("request", lambda request: sent.append(request))
        film(page)
        expect(page.locator("#live [data-live=where]")).to_contain_text("once a second at most")
        with page.expect_request("**/on-device/search") as asked:
            pass
        assert len(asked.value.post_data_buffer) <= CODE
        assert all(len(body) < EVENT for body in bodies(sent))
        page.get_by_role("button", name="Stop").click()
