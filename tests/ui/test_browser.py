"""The page in headless Chromium, over the shipped model and ORL's gallery."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from daah.errors import CheckpointError
from daah.gallery import people
from daah.models.encoder import FaceEncoder
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.page.events import AT_ONCE
from daah.ui.page.examples import FOLDER
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG
from tests.ui.serving import age

pytestmark = pytest.mark.browser

Host = Callable[[App], str]
Visit = Callable[..., Page]
Keep = Callable[..., None]

#: What Gradio's own components are known to fail; nothing else may be.
GRADIO_FINDINGS = {
    "color-contrast",
    "aria-prohibited-attr",
    "image-redundant-alt",
    "nested-interactive",
}

TABS = ("Search", "Compare", "Live", "Gallery", "Methods", "How good is it", "About")

#: What is said of somebody who is not in the gallery.
NOBODY_SURE = re.compile("No match: this person does not seem to be|Unclear: the nearest is")

#: What a tab draws once it is turned to.
FINISHED = {
    "Gallery": "#map circle",
    "Methods": "#methods .method",
    "How good is it": "#quality .five",
}

#: Buttons and tabs that a finger could miss: the names of those under 44 pixels.
SMALL_TARGETS = """() => [
  ...document.querySelectorAll(".part button, .part a.small, .part summary, [role=tab]")
].filter((one) => {
  const { width, height } = one.getBoundingClientRect();
  return one.checkVisibility() && width > 1 && Math.min(width, height) < 43.5;
}).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture
def length(encoder: FaceEncoder) -> int:
    """Bits of the shipped model's code, by which the page starts."""
    return encoder.bits


def upload(page: Page, picture: Path | bytes, name: str = "photo.png") -> None:
    """Give a photo to the Search tab."""
    given = (
        {"name": name, "mimeType": "image/png", "buffer": picture}
        if isinstance(picture, bytes)
        else picture
    )
    page.locator("#photo input[type=file]").set_input_files(given)


def example(page: Page, name: str) -> None:
    """Tap an example."""
    page.locator("#examples").get_by_role("button", name=name).click()


def png(rgb: np.ndarray, **more: Any) -> bytes:
    """Pixels as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", **more)
    return buffer.getvalue()


def sentence(page: Page) -> Any:
    """The live region."""
    return page.locator("#sentence")


def open_options(page: Page) -> None:
    """Unfold the options."""
    page.locator("#options").get_by_role("button", name="Options").click()
    expect(page.locator("#count")).to_be_visible()


def set_length(page: Page, bits: int) -> None:
    """Choose a code length."""
    page.locator("#bits").get_by_label(str(bits), exact=True).click()


def set_slider(page: Page, elem_id: str, value: int | float) -> None:
    """Type a number into a slider's box."""
    box = page.locator(f"#{elem_id} input[type=number]")
    box.fill(str(value))
    box.press("Enter")


def test_landing_shows_a_finished_result(app: str, length: int, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    expect(page.get_by_role("heading", name="Face hash search")).to_be_visible()
    expect(page.get_by_text("deleted within 10 minutes")).to_be_visible()
    expect(sentence(page)).to_contain_text("Match: Martha Roby.")
    expect(page.locator("#best h3")).to_have_text("Martha Roby")
    expect(page.locator("#people .card")).to_have_count(8)
    expect(page.locator("#code rect")).to_have_count(length)
    expect(page.locator("#cells .cell")).to_have_count(length)
    expect(page.get_by_text("This is a finished example.")).to_be_visible()
    for tab in TABS:
        expect(page.get_by_role("tab", name=tab, exact=True)).to_be_visible()
    page.locator("#cells .cell").nth(4).click()
    expect(page.locator("#cells .bit")).to_contain_text("Bit 5 is")
    keep(page)


def test_faces_are_numbered_and_chosen_by_chip_and_by_tap(
    app: str, visit: Visit, keep: Keep
) -> None:
    page = visit(app)
    upload(page, FOLDER / "group.jpg")
    expect(sentence(page)).to_contain_text(re.compile("5 faces found: .*Face 1:"))
    expect(page.locator("#boxes .box")).to_have_count(5)
    chips = page.locator("#chips .chip")
    expect(chips).to_have_count(5)
    chips.nth(2).click()
    expect(chips.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(sentence(page)).to_contain_text("Face 3:")
    box = page.locator("#boxes .box").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chips.first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#boxes .box.chosen b")).to_have_text("1")
    keep(page)


def test_a_match_shows_both_faces_and_the_bits_that_differ(
    app: str, length: int, visit: Visit, keep: Keep
) -> None:
    page = visit(app)
    example(page, "Grayscale")
    card = page.locator("#people .card").first
    expect(card).to_contain_text("Elton Gallegly")
    expect(card).to_contain_text(f"of {length} bits agree")
    name = card.locator("b").inner_text()
    card.click()
    expect(page.locator("#match .compare")).to_have_count(2)
    differ = re.compile(rf"(\d+) of {length} bits agree with this photo, (\d+) differ")
    expect(page.locator("#match")).to_contain_text(differ)
    agree, apart = map(int, differ.search(page.locator("#match").inner_text()).groups())
    assert agree + apart == length
    expect(page.locator("#cells .cell.differs")).to_have_count(apart)
    expect(page.locator("#code rect.diff")).to_have_count(apart)
    expect(page.locator("#people .card").first).to_have_attribute("aria-pressed", "true")
    page.locator("#match").get_by_role("button", name="Show which face regions").click()
    expect(page.locator("#match .three figure")).to_have_count(3)
    expect(page.locator("#match")).to_contain_text(f"bits that separate {name} from")
    keep(page)
    page.get_by_role("button", name="Search with this face").click()
    expect(sentence(page)).to_contain_text(f"Match: {name}.")
    expect(page.locator("#people .card b").first).to_have_text(name)
    expect(page.locator("#match .compare")).to_have_count(0)


def test_another_length_ranks_again_and_the_options_change_what_is_shown(
    app: str, visit: Visit, keep: Keep
) -> None:
    page = visit(app)
    set_length(page, 64)
    expect(page.locator("#cells .cell")).to_have_count(64)
    expect(page.locator("#people .card").first).to_contain_text("of 64 bits")
    page.locator("#bits").get_by_label("96", exact=True).press("Space")
    expect(page.locator("#cells .cell")).to_have_count(96)
    expect(sentence(page)).to_contain_text("of 96 bits agree")
    open_options(page)
    set_slider(page, "count", 12)
    expect(page.locator("#people .card")).to_have_count(12)
    words = sentence(page).inner_text()
    set_slider(page, "threshold", 0)
    expect(page.locator("#people .card")).to_have_count(0)
    expect(sentence(page)).to_have_text(words)
    heat = page.locator("#heatmap .over").get_attribute("src")
    set_slider(page, "strength", 0.1)
    expect(page.locator("#heatmap .over")).not_to_have_attribute("src", heat)
    keep(page)


def test_the_answer_is_on_the_first_screen(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app, width=1366, height=768)
    for part in ("#boxes .stage", "#heatmap .compare", "#code svg", "#best .best", "#photo"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 768, part
    keep(page)


def test_covers_and_what_the_code_depends_on(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    example(page, "Grayscale")
    page.locator("#closer").get_by_role("button", name="Show what the code depends on").click()
    expect(page.locator("#closer img[alt^=Regions]")).to_be_visible()
    page.locator("#cover").get_by_role("button", name="Surgical mask").click()
    answers = page.locator("#cover figcaption")
    expect(answers).to_have_count(2)
    expect(answers.nth(1)).to_contain_text(re.compile(r"With attention\s*The cover changes \d+"))
    keep(page)
    page.locator("#cover").get_by_role("button", name="Surgical mask").click()
    expect(answers).to_have_count(0)


def test_a_stranger_adds_the_face_for_this_visit_and_is_found(
    app: str, visit: Visit, keep: Keep
) -> None:
    page = visit(app)
    example(page, "Not in the gallery")
    expect(sentence(page)).to_contain_text(NOBODY_SURE)
    page.get_by_role("button", name="Add this face for this visit").click()
    expect(sentence(page)).to_contain_text("Match: You.")
    expect(page.locator("#people .card").first).to_contain_text("You · yours")
    keep(page)


def test_attention_off_and_painted_and_undone(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    code = page.locator("#cells .hex code")
    own = code.inner_text()
    page.locator("#attention").get_by_label("Off").click()
    expect(sentence(page)).to_contain_text("Attention is off.")
    page.locator("#attention").get_by_label("Paint").click()
    canvas = page.locator("#paint canvas")
    expect(canvas).to_be_visible()
    expect(code).to_have_text(own)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 110)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 130, steps=6)
    page.mouse.up()
    expect(sentence(page)).to_contain_text("The model looks only where you painted.")
    expect(code).not_to_have_text(own)
    keep(page)
    page.locator("#paint").get_by_role("button", name="Undo").click()
    expect(sentence(page)).not_to_contain_text("painted")
    expect(code).to_have_text(own)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(sentence(page)).to_contain_text("The model looks only where you painted.")
    page.locator("#attention").get_by_label("On").click()
    expect(code).to_have_text(own)
    expect(canvas).to_have_count(0)


def test_every_example_gives_its_own_result(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    for name, words in (
        ("Five people", "5 faces found"),
        ("Years younger", "Match: "),
        ("Grayscale", "Match: Elton Gallegly."),
        ("Not in the gallery", NOBODY_SURE),
        ("No face", "No face found. Try a larger, front-facing face."),
    ):
        example(page, name)
        expect(sentence(page)).to_contain_text(words)
        expect(page.locator("#boxes .stage img")).to_be_visible()
    expect(page.locator("#people .card")).to_have_count(0)
    expect(page.locator("#cells .cell")).to_have_count(0)
    keep(page)
    example(page, "Another year")
    expect(page.locator("#people .card")).to_have_count(8)


def test_unreadable_and_oversized_files_are_told_and_leave_no_old_result(
    app: str, visit: Visit, keep: Keep
) -> None:
    page = visit(app, forgive=("Failed to load resource", "413"))
    upload(page, png(np.zeros((40, 40, 3), np.uint8))[:60])
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("cannot be read")
    assert "/" not in toast.inner_text()
    expect(sentence(page)).to_contain_text("is damaged or cut off and cannot be read")
    expect(page.locator("#people .card")).to_have_count(0)
    keep(page, "unreadable")
    page.get_by_test_id("toast-close").click()
    noise = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    upload(page, png(noise, compress_level=0))
    expect(page.get_by_test_id("toast-body")).to_contain_text(re.compile("size|large", re.I))
    keep(page, "oversized")


def test_a_photo_turned_by_exif_is_shown_upright(app: str, visit: Visit) -> None:
    page = visit(app)
    code = page.locator("#cells .hex code")
    with Image.open(FOLDER / "grayscale.jpg") as image:
        upright = np.array(image.convert("RGB"))
    exif = Image.Exif()
    exif[0x0112] = 8
    upload(page, png(upright))
    expect(page.locator("#boxes .stage img")).to_have_attribute("alt", re.compile("Your photo"))
    first = code.inner_text()
    example(page, "No face")
    expect(code).to_have_count(0)
    upload(page, png(np.rot90(upright, -1), exif=exif.tobytes()))
    expect(code).to_have_text(first)
    size = page.locator("#boxes .stage").bounding_box()
    assert size["height"] > size["width"]


def test_two_visitors_never_meet(app: str, visit: Visit) -> None:
    one, two = visit(app), visit(app)
    example(one, "Grayscale")
    example(two, "Five people")
    expect(sentence(one)).to_contain_text("Match: Elton Gallegly.")
    expect(sentence(two)).to_contain_text("5 faces found")
    expect(one.locator("#boxes")).to_contain_text("1")
    code = one.locator("#cells .hex code").inner_text()
    two.locator("#chips .chip").nth(1).click()
    expect(sentence(two)).to_contain_text("Face 2:")
    one.locator("#people .card").first.click()
    expect(one.locator("#match")).to_contain_text("Face 1 and")
    expect(one.locator("#chips .chip")).to_have_count(0)
    expect(one.locator("#cells .hex code")).to_have_text(code)
    expect(two.locator("#match .compare")).to_have_count(0)


def test_the_result_is_saved_as_json(app: str, length: int, visit: Visit) -> None:
    page = visit(app)
    with page.expect_download() as download:
        page.locator("#download a").click()
    made = json.loads(Path(download.value.path()).read_text())
    assert len(made["faces"][0]["matches"]) == 8
    assert made["bits"] == length


def test_everything_is_reached_by_keyboard(app: str, visit: Visit) -> None:
    page = visit(app)
    page.locator("#examples button").nth(3).focus()
    page.keyboard.press("Enter")
    expect(sentence(page)).to_contain_text("5 faces found")
    page.locator("#chips .chip").nth(1).focus()
    page.keyboard.press("Space")
    expect(sentence(page)).to_contain_text("Face 2:")
    cut = page.locator("#heatmap input[type=range]")
    cut.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#heatmap .compare").get_attribute("style").strip() == "--cut: 51%;"
    page.locator("#cells .cell[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#cells .cell[aria-pressed=true]")).to_have_count(1)
    places = page.locator("#cells .cell").evaluate_all("(all) => all.map((one) => one.offsetTop)")
    row = places.count(places[0])  # cells of the first row
    expect(page.locator("#cells .bit")).to_contain_text(f"Bit {row + 2} is")
    page.locator("#people .card").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#match .compare")).to_have_count(2)
    page.get_by_role("tab", name="Compare").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_be_visible()


def test_compare(app: str, length: int, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#verdict")).to_contain_text("Add two photos")
    page.locator("#photo-first input[type=file]").set_input_files(FOLDER / "grayscale.jpg")
    page.locator("#photo-second input[type=file]").set_input_files(FOLDER / "group.jpg")
    expect(page.locator("#verdict")).to_contain_text(f"of {length} bits differ")
    expect(page.locator("#numbers")).to_contain_text("The second photo has 5 faces")
    page.locator("#pairs button").first.click()
    expect(page.locator("#numbers")).not_to_contain_text("5 faces")
    expect(page.locator("#pair-heatmaps .compare")).to_have_count(2)
    page.locator("#compare-bits").get_by_label("64", exact=True).click()
    expect(page.locator("#verdict")).to_contain_text("of 64 bits differ")
    page.get_by_role("button", name="Show which face regions the shared").click()
    expect(page.locator("#pair-bits img")).to_have_count(2)
    keep(page)
    page.locator("#photo-second input[type=file]").set_input_files(FOLDER / "no-face.jpg")
    expect(page.locator("#verdict")).to_contain_text("No face found in the second photo.")
    expect(page.locator("#pair-heatmaps img")).to_have_count(0)


def test_the_photo_of_an_example_is_taken_away_for_good(app: str, visit: Visit) -> None:
    """On each tab, where the example is the first thing that is asked for."""
    page = visit(app)
    example(page, "Grayscale")
    expect(page.locator("#people .card b").first).to_have_text("Elton Gallegly")
    page.locator("#boxes").get_by_role("button", name="Clear").click()
    expect(sentence(page)).to_have_text("Add a photo, or choose an example.")
    expect(page.locator("#people .card")).to_have_count(0)
    expect(page.locator("#photo img")).to_have_count(0)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#pairs button").first.click()
    expect(page.locator("#verdict")).to_contain_text("bits differ")
    page.locator("#photo-first").get_by_label("Remove Image").click()
    expect(page.locator("#verdict")).to_contain_text("Add two photos")
    expect(page.locator("#photo-second img")).to_have_count(1)
    page.locator("#photo-first input[type=file]").set_input_files(FOLDER / "group.jpg")
    expect(page.locator("#numbers")).to_contain_text("The first photo has 5 faces")
    page.get_by_role("tab", name="Methods").click()
    page.locator("#methods-examples").get_by_role("button", name="Grayscale").click()
    expect(page.locator("#methods-sentence")).to_contain_text(re.compile("put .+ first"))
    page.locator("#photo-methods").get_by_label("Remove Image").click()
    expect(page.locator("#methods .method")).to_have_count(0)
    page.get_by_role("tab", name="Search").click()
    expect(sentence(page)).to_have_text("Add a photo, or choose an example.")
    upload(page, FOLDER / "group.jpg")
    expect(sentence(page)).to_contain_text("5 faces found")


def test_live(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    page.get_by_role("tab", name="Live").click()
    expect(page.get_by_text("The camera is off.").first).to_be_visible()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#live .rate")).to_contain_text("frames a second")
    expect(page.locator("#live [data-live=words]")).to_contain_text(re.compile("nobody"))
    drawn = page.evaluate(
        "() => { const c = document.querySelector('#live canvas');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v); }"
    )
    assert drawn
    keep(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#live [data-live=words]")).to_have_text("The camera is off.")
    expect(page.get_by_role("button", name="Start the camera")).to_be_visible()


def test_gallery(app: str, length: int, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    expect(page.locator("#cells .cell").first).to_be_visible()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#summary")).to_contain_text("696 photos of 696 people")
    expect(page.locator("#summary")).to_contain_text("Government Printing Office (public domain)")
    expect(page.locator("#map circle")).to_have_count(696)
    expect(page.locator("#map g.query")).to_be_visible()
    expect(page.locator("#manage")).to_have_count(0)
    page.locator("#name textarea, #name input").fill("ackerman")
    expect(page.locator("#gallery-people .card")).to_have_count(1)
    page.locator("#gallery-people .card").click()
    expect(page.locator("#entry h2")).to_have_text("Gary L. Ackerman")
    expect(page.locator("#map circle.chosen")).to_have_count(1)
    box = page.locator("#map svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    expect(page.locator("#entry h2")).to_be_visible()
    keep(page)
    name = page.locator("#entry h2").inner_text()
    page.get_by_role("button", name="Search with this face").click()
    expect(sentence(page)).to_contain_text("Match:")
    expect(page.locator("#people .card b").first).to_have_text(name)


def test_somebody_added_for_a_visit_is_found_by_this_visitor_only(
    app: str, length: int, visit: Visit, keep: Keep
) -> None:
    page, other = visit(app), visit(app)
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#own").get_by_role("button", name="Add someone for this visit").click()
    page.locator("#own-photo input[type=file]").set_input_files(FOLDER / "not-in-the-gallery.jpg")
    page.locator("#own-name textarea, #own-name input").fill("Eileen <b>")
    expect(page.locator("#own-photo img")).to_be_visible()
    page.locator("#own-add").click()
    expect(page.locator("#own-done")).to_contain_text("Eileen <b> is added for this visit.")
    expect(page.locator("#gallery-people")).to_contain_text("yours")
    page.get_by_role("tab", name="Search").click()
    example(page, "Not in the gallery")
    expect(sentence(page)).to_contain_text("Match:")
    expect(page.locator("#people .card b").first).to_have_text("Eileen <b> · yours")
    page.locator("#people .card").first.click()
    expect(page.locator("#match .compare")).to_have_count(2)
    keep(page)
    example(other, "Not in the gallery")
    expect(other.locator("#boxes .stage img")).to_be_visible()
    expect(other.locator("#boxes")).not_to_contain_text("finished example")
    expect(other.locator("#people")).not_to_contain_text("yours")
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#own-people button").click()
    expect(page.locator("#own-done")).to_contain_text("is removed")
    expect(page.locator("#gallery-people")).not_to_contain_text("yours")


def test_methods(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    expect(page.locator("#cells .cell").first).to_be_visible()
    page.get_by_role("tab", name="Methods").click()
    rows = page.locator("#methods .method")
    for name in ("demo", "LSH", "ITQ", "SDH", "DSH", "DDQH"):
        row = rows.filter(has=page.get_by_role("heading", name=re.compile(f"^{name} ")))
        expect(row.locator(".nearest li")).to_have_count(5)
        expect(row.locator(".strip")).to_be_visible()
    expect(page.locator("#methods-sentence")).to_contain_text(re.compile("put .+ first"))
    measured = page.locator("#methods-measured")
    expect(measured.locator("table").first).to_contain_text("DDAH")
    expect(measured.locator("figure img")).to_have_count(3)
    measured.get_by_text("Ablation of DDAH").click()
    expect(measured.get_by_text("without spatial attention")).to_be_visible()
    keep(page)
    page.locator("#methods-examples").get_by_role("button", name="Five people").click()
    expect(page.locator("#methods-sentence")).to_contain_text("The photo has 5 faces")
    expect(page.locator("#photo-methods img")).to_be_visible()
    page.locator("#photo-methods").get_by_label("Remove Image").click()
    expect(page.locator("#methods-sentence")).to_contain_text("Choose a face")
    page.locator("#photo-methods input[type=file]").set_input_files(FOLDER / "no-face.jpg")
    expect(page.locator("#methods-sentence")).to_contain_text("No face found.")
    expect(rows).to_have_count(0)
    page.get_by_role("tab", name="Search").click()
    example(page, "Grayscale")
    expect(page.locator("#people .card b").first).to_have_text("Elton Gallegly")
    page.get_by_role("tab", name="Methods").click()
    expect(page.locator("#methods-sentence")).to_contain_text(re.compile("put .+ first"))


def test_another_model_is_chosen_and_let_go_again(
    launch: Callable[..., str], paper: Path, visit: Visit, keep: Keep
) -> None:
    page = visit(launch({"paper": paper}))
    other = visit(page.url)
    upload(page, png(photo((PEOPLE["red"], 300), (PEOPLE["blue"], 200))))
    expect(sentence(page)).to_contain_text("2 faces found")
    before = page.locator("#cells .hex code").inner_text()
    open_options(page)
    page.locator("#model").get_by_label("As published").click()
    expect(page.locator("#cells .cell")).to_have_count(48)
    expect(page.locator("#people .card").first).to_contain_text("of 48 bits")
    expect(sentence(page)).to_contain_text("Unclear:")
    expect(page.locator("#best")).to_contain_text("This model has no limits for searches")
    expect(page.locator("#bits")).to_be_hidden()
    page.locator("#people .card").first.click()
    expect(page.locator("#match .compare")).to_have_count(2)
    page.locator("#cells .cell").nth(3).click()
    expect(page.locator("#cells .bit")).to_contain_text("Bit 4 is")
    keep(page)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#summary")).to_contain_text("48-bit codes of model paper")
    expect(page.locator("#map g.query")).to_be_visible()
    page.get_by_role("tab", name="Search").click()
    upload(other, png(photo((PEOPLE["red"], 300))))
    expect(other.locator("#cells .cell")).to_have_count(128)
    page.locator("#model").get_by_label("For people it has never seen").click()
    expect(page.locator("#cells .cell")).to_have_count(128)
    expect(page.locator("#cells .hex code")).to_have_text(before)
    expect(page.locator("#bits")).to_be_visible()


def test_a_model_that_cannot_be_read_is_told_and_not_chosen(
    launch: Callable[..., str], tmp_path: Path, visit: Visit, keep: Keep
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"x" * 100)
    page = visit(launch({"bad": tmp_path / "bad.onnx"}))
    upload(page, png(photo((PEOPLE["red"], 300))))
    expect(sentence(page)).to_contain_text("bits agree")
    open_options(page)
    page.locator("#model").get_by_label("bad").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("damaged")
    assert str(tmp_path) not in toast.inner_text()
    expect(page.locator("#model").get_by_label("For people it has never seen")).to_be_checked()
    expect(page.locator("#cells .cell")).to_have_count(128)
    keep(page)


def test_how_good_is_it_and_about(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    page.get_by_role("tab", name="How good is it").click()
    expect(page.locator("#quality section").nth(6)).to_be_visible()
    expect(page.locator("#quality .five li")).to_have_count(5)
    page.locator("#quality summary").first.click()
    expect(page.locator("#quality table").first).to_be_visible()
    keep(page, "quality")
    page.get_by_role("button", name="Model card").first.click()
    expect(page.locator("#about")).to_contain_text("In sixty seconds")
    expect(page.locator("#about")).to_contain_text('api_name="/search"')
    keep(page, "about")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_has_one_column_in_order_and_nothing_sticks_out(
    app: str, visit: Visit, keep: Keep, dark: bool
) -> None:
    page = visit(app, width=390, dark=dark, has_touch=True)
    expect(page.locator("#cells .cell").first).to_be_visible()
    wide = "() => document.documentElement.scrollWidth"
    order = [
        "boxes",
        "photo",
        "heatmap",
        "code",
        "best",
        "sentence",
        "people",
        "closer",
        "cells",
        "download",
    ]
    tops = [page.locator(f"#{name}").first.bounding_box()["y"] for name in order]
    assert tops == sorted(tops)
    cards = page.locator("#people ol.cards").last.locator(".card")  # of those who do not match
    assert cards.nth(0).bounding_box()["y"] == cards.nth(1).bounding_box()["y"]
    assert cards.nth(2).bounding_box()["y"] > cards.nth(0).bounding_box()["y"]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 150) == dark
    cards.first.tap()
    expect(page.locator("#match .compare")).to_have_count(2)
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).tap()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
            "aria-selected", "true"
        )
        expect(page.locator(FINISHED.get(tab, "#header")).first).to_be_visible()
        assert page.evaluate(wide) <= 390, tab
        assert page.evaluate(SMALL_TARGETS) == [], tab
        if dark:
            keep(page, tab.lower().replace(" ", "-"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_of_ours(app: str, visit: Visit, dark: bool) -> None:
    page = visit(app, dark=dark)
    page.locator("#people .card").first.click()
    expect(page.locator("#match .compare")).to_have_count(2)
    page.locator("#cells .cell").first.click()
    expect(page.locator("#cells .bit")).to_be_visible()
    # Only colours differ in the dark.
    rules = {"runOnly": ["color-contrast"]} if dark else {}
    found = {}
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
            "aria-selected", "true"
        )
        expect(page.locator(FINISHED.get(tab, "#header")).first).to_be_visible()
        for violation in Axe().run(page, options=rules).response["violations"]:
            nodes = [
                node["html"][:200]
                for node in violation["nodes"]
                if violation["id"] not in GRADIO_FINDINGS or is_ours(page, node["target"][0])
            ]
            if nodes:
                found[tab, violation["id"]] = nodes[:3]
    assert not found


def is_ours(page: Page, selector: str) -> bool:
    """Whether an element is in a part that this project draws, and not in Gradio's own."""
    return page.evaluate("(s) => Boolean(document.querySelector(s)?.closest('.part'))", selector)


def test_a_result_that_is_over_says_so(tmp_path: Path, host: Host, visit: Visit) -> None:
    demo = build_app(fake_retriever.retriever(tmp_path / "gallery"), Settings(keep_seconds=600))
    page = visit(host(demo))
    upload(page, png(photo((PEOPLE["red"], 300), (PEOPLE["blue"], 200))))
    expect(sentence(page)).to_contain_text("2 faces found")
    assert age(demo, 601) > 0  # the time that this server promises is over
    page.locator("#chips .chip").nth(1).click()
    expect(sentence(page)).to_contain_text("are deleted after 10 minutes")
    expect(page.locator("#people .card")).to_have_count(0)


def test_a_small_face_is_told(launch: Callable[..., str], visit: Visit, keep: Keep) -> None:
    page = visit(launch())
    upload(page, png(photo((PEOPLE["red"], 30))))
    expect(sentence(page)).to_contain_text("This face is small, and still near enough for a match.")
    keep(page)


def test_a_full_queue_is_told(tmp_path: Path, host: Host, visit: Visit, keep: Keep) -> None:
    fake = fake_retriever.retriever(tmp_path / "gallery")
    entered, leave = threading.Event(), threading.Event()
    detect = fake.detector.detect

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        entered.set()
        leave.wait(HANG)
        return detect(rgb)

    url = host(build_app(fake, Settings(queue_size=1)))
    fake.detector.detect = slow  # only now: the page is built with a search
    try:
        pages = [visit(url, forgive=("Failed to load resource", "503")) for _ in range(AT_ONCE + 2)]
        for i, page in enumerate(pages):
            upload(page, png(photo((PEOPLE["red"], 300))))
            if i == 0:
                expect(sentence(page)).to_contain_text("Finding faces")
                assert entered.wait(HANG)
                keep(page, "progress")
        expect(pages[-1].get_by_test_id("toast-body")).to_contain_text(
            re.compile("queue|busy", re.I)
        )
        keep(pages[-1])
        leave.set()
        for page in pages[:-1]:
            expect(sentence(page)).to_contain_text("bits agree")
    finally:
        leave.set()


def test_without_a_model_the_page_is_a_notice(host: Host, visit: Visit, keep: Keep) -> None:
    notice = build_notice(CheckpointError("The model checkpoints/demo.onnx is missing."))
    page = visit(host(notice))
    expect(page.get_by_role("alert")).to_contain_text("checkpoints/demo.onnx is missing")
    expect(page.locator("#photo")).to_have_count(0)
    keep(page)


def test_a_local_run_changes_its_gallery(
    launch: Callable[..., str], visit: Visit, keep: Keep, tmp_path: Path
) -> None:
    page = visit(launch(public=False))
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#manage").get_by_role("button", name="Change this gallery").click()
    page.locator("#person textarea, #person input").fill("Ann")
    file = {"name": "ann.png", "mimeType": "image/png", "buffer": png(photo(((9, 90, 90), 300)))}
    page.locator("#files input[type=file]").set_input_files(file)
    expect(page.locator("#files")).to_contain_text("ann")
    page.locator("#add").click()
    expect(page.locator("#manage-done")).to_contain_text("1 photo added.")
    expect(page.locator("#summary")).to_contain_text("7 photos of 4 people")
    page.locator("#remove").click()
    page.locator("#edit").get_by_role("button", name="Remove Ann").click()
    expect(page.locator("#manage-done")).to_contain_text("Ann is removed, with 1 photo.")
    page.locator("#folder textarea, #folder input").fill(str(tmp_path / "nowhere"))
    page.locator("#import").click()
    expect(page.locator("#manage-done")).to_contain_text("there is no such folder")
    page.locator("#uri textarea, #uri input").fill(str(tmp_path / "another"))
    page.locator("#choose").click()
    expect(page.locator("#manage-done")).to_contain_text("There is no gallery another.")
    page.locator("#create input").check()
    page.locator("#choose").click()
    expect(page.locator("#manage-done")).to_contain_text("Searching another from now on: 0 photos.")
    expect(page.locator("#gallery-people")).to_contain_text("Nobody is here yet.")
    for name, colour in (("Bob", PEOPLE["red"]), ("Cid", PEOPLE["blue"])):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "1.png").write_bytes(png(photo((colour, 300))))
    page.locator("#folder textarea, #folder input").fill(str(tmp_path / "tree"))
    page.locator("#import").click()
    expect(page.locator("#manage-done")).to_contain_text("2 photos added.")
    expect(page.locator("#summary")).to_contain_text("2 photos of 2 people")
    expect(page.locator("#map circle")).to_have_count(2)
    keep(page)
    page.get_by_role("tab", name="Search").click()
    upload(page, png(photo((PEOPLE["blue"], 300))))
    expect(page.locator("#people .card b").first).to_have_text("Cid")


def test_faces_without_names_are_named_by_keyboard_and_a_removal_is_undone(
    launch: Callable[..., str], visit: Visit, keep: Keep, tmp_path: Path
) -> None:
    """A folder of loose photos, two names, a merge, a split, a photo and a person removed."""
    colours = {"a": (120, 0, 160), "b": (0, 150, 150), "c": (230, 120, 0)}
    for name, colour in colours.items():
        for n in range(3):
            (tmp_path / "loose").mkdir(exist_ok=True)
            marks = ((colour, 300 + n), *([((9, 9, 9), 60)] if (name, n) == ("a", 0) else []))
            (tmp_path / "loose" / f"{name}{n}.png").write_bytes(png(photo(*marks)))
    address = launch(public=False)
    page, other = visit(address), visit(address)
    for one in (page, other):
        one.get_by_role("tab", name="Gallery").click()
        expect(one.locator("#map circle")).to_have_count(6)
    done = page.locator("#manage-done")
    page.locator("#manage").get_by_role("button", name="Change this gallery").click()
    page.locator("#folder textarea, #folder input").fill(str(tmp_path / "loose"))
    page.locator("#sorting").get_by_label("I do not know").check()
    page.locator("#import").click()
    expect(done).to_contain_text("9 photos added.")
    expect(done).to_contain_text("a0.png: face 1 of 2 from the left")
    expect(done).to_contain_text("3 people without a name found")
    cards = page.locator("#unnamed")
    for n, name in ((1, "Ann"), (2, "Bea")):
        field = cards.get_by_label(f"Name of Person {n}")
        field.focus()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(done).to_contain_text(f"Person {n} is {name} from now on.")
    keep(page, "named")
    cards.get_by_label("Name of Person 3").fill("ann")
    cards.get_by_role("button", name="Save name Person 3").click()
    expect(cards.get_by_role("group", name="Question")).to_contain_text(
        "Ann is in the gallery already, with 3 photos. Is Person 3 the same person?"
    )
    yes = cards.get_by_role("button", name="Yes, one person")
    expect(yes).to_be_focused()
    page.keyboard.press("Enter")
    expect(done).to_contain_text("Person 3 and Ann are one person now, Ann.")

    page.locator("#gallery-people").get_by_role("button", name="Ann").click()
    editor = page.locator("#edit")
    expect(editor.get_by_role("checkbox")).to_have_count(6)
    for photo_name in ("c0.png", "c1.png", "c2.png"):
        editor.get_by_label(f"Photo {photo_name}").check()
    keep(page, "editor")
    editor.get_by_label("Who is on the ticked photos").fill("Cid")
    editor.get_by_role("button", name="Move ticked photos Ann", exact=True).click()
    expect(done).to_contain_text("3 photos are of Cid now.")
    expect(editor.get_by_role("checkbox")).to_have_count(3)
    editor.get_by_label("Photo a1.png").check()
    editor.get_by_role("button", name="Remove ticked photos").click()
    expect(done).to_contain_text("1 photo removed.")
    expect(page.locator("#summary")).to_contain_text("14 photos of 6 people")

    editor.get_by_role("button", name="Remove person Ann").click()
    expect(editor.get_by_role("button", name="Keep Ann")).to_be_focused()
    keep(page, "asked")
    page.keyboard.press("Enter")
    expect(editor.get_by_role("group", name="Question")).to_have_count(0)
    expect(page.locator("#summary")).to_contain_text("14 photos of 6 people")
    editor.get_by_role("button", name="Remove person Ann").click()
    editor.get_by_role("group", name="Question").get_by_role("button", name="Remove Ann").click()
    expect(done).to_contain_text("Ann is removed, with 2 photos. This can be undone for an hour.")
    expect(page.locator("#map circle")).to_have_count(12)
    page.locator("#undo").get_by_role("button", name="Undo the last removal").click()
    expect(done).to_contain_text("2 photos are back of Ann.")
    expect(page.locator("#map circle")).to_have_count(14)
    page.locator("#undo").get_by_role("button", name="Delete for good").click()
    expect(done).to_contain_text("is deleted for good.")
    expect(page.locator("#undo button")).to_have_count(0)

    # Another window has opened nobody and was told nothing; the gallery that both change is one.
    expect(other.locator("#edit section")).to_have_count(0)
    expect(other.locator("#manage-done .say")).to_have_count(0)
    other.get_by_role("tab", name="Search").click()
    other.get_by_role("tab", name="Gallery").click()
    expect(other.locator("#summary")).to_contain_text("14 photos of 6 people")
    expect(other.locator("#edit section")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_cards_of_people_without_a_name_suit_a_phone_and_axe(
    tmp_path: Path, host: Host, visit: Visit, keep: Keep, dark: bool
) -> None:
    retriever = fake_retriever.retriever(tmp_path / "gallery")
    gallery = retriever.gallery
    for person in ("red", "green"):
        people.split(gallery, [next(gallery.entries(person)).id])
    people.hide(gallery, "unnamed-1")
    gallery.discard(["blue"])
    page = visit(
        host(build_app(retriever, Settings(public=False), {})), width=390, height=844, dark=dark
    )
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#unnamed").get_by_role("button", name="Show them").click()
    page.locator("#unnamed").get_by_role("button", name="Photos Person 2").click()
    page.locator("#edit").get_by_role("button", name="Remove person").click()
    expect(page.locator("#edit").get_by_role("group", name="Question")).to_be_visible()
    expect(page.locator("#unnamed")).to_contain_text("Fold them away")
    keep(page, "dark" if dark else "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(SMALL_TARGETS) == []
    found = {
        violation["id"]: nodes
        for violation in Axe().run(page).response["violations"]
        if (
            nodes := [
                node["html"][:200]
                for node in violation["nodes"]
                if violation["id"] not in GRADIO_FINDINGS or is_ours(page, node["target"][0])
            ]
        )
    }
    assert not found
