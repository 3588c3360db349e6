"""Addresses of tabs and examples, terms and first steps, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from daah.ui.page.examples import FOLDER

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Keep = Callable[..., None]


def test_tabs_and_examples_have_addresses_and_back_returns(
    app: str, visit: Visit, keep: Keep
) -> None:
    page = visit(f"{app}?example=grayscale")
    sentence = page.locator("#sentence")
    expect(sentence).to_contain_text("Match: Elton Gallegly.")
    page.locator("#examples").get_by_role("button", name="Five people").click()
    expect(sentence).to_contain_text("5 faces found")
    expect(page).to_have_url(re.compile(r"\?example=group$"))
    page.get_by_role("tab", name="Compare").click()
    expect(page).to_have_url(re.compile(r"\?tab=compare$"))
    page.locator("#pairs").get_by_role("button", name="Two people").click()
    expect(page).to_have_url(re.compile(r"\?tab=compare&example=two-people$"))
    expect(page.locator("#verdict")).to_contain_text("Probably different people")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(sentence).to_contain_text("Match: Elton Gallegly.")
    keep(page)


@pytest.mark.parametrize(
    ("address", "tab", "part", "words"),
    [
        ("?tab=compare&example=years-apart", "Compare", "#verdict", "Likely the same person"),
        ("?tab=quality", "How good is it", "#quality", "searches put the right person first"),
        ("?tab=about", "About", "#about", "In sixty seconds"),
    ],
)
def test_an_address_opens_what_it_names(
    app: str, visit: Visit, address: str, tab: str, part: str, words: str
) -> None:
    page = visit(app + address)
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    expect(page.locator(part)).to_contain_text(re.compile(words, re.IGNORECASE))
    assert page.url.endswith(address)


def test_unknown_names_are_ignored_with_a_sentence(app: str, visit: Visit) -> None:
    page = visit(f"{app}?tab=<b>nowhere&example=nothing")
    note = page.locator("#address-note")
    expect(note).to_contain_text("There is no tab called <b>nowhere. Tabs: search, compare,")
    expect(note).to_contain_text("There is no example called nothing here.")
    expect(page.locator("#sentence")).to_contain_text("Match: Martha Roby.")
    page.get_by_role("tab", name="About").click()
    expect(note).to_be_hidden()


def test_a_photo_of_ones_own_is_no_example(app: str, visit: Visit) -> None:
    page = visit(f"{app}?example=grayscale")
    expect(page.locator("#sentence")).to_contain_text("Match: Elton Gallegly.")
    page.locator("#photo input[type=file]").set_input_files(FOLDER / "group.jpg")
    expect(page.locator("#sentence")).to_contain_text("5 faces found")
    assert "example" not in page.url


def test_a_term_explains_itself_to_pointer_and_keyboard(app: str, visit: Visit) -> None:
    page = visit(app)
    said = page.locator("#term-shown")
    page.locator("#best .term").hover()
    expect(said).to_contain_text("A bit is a 1 or a 0.")
    page.mouse.move(5, 5)
    expect(said).to_be_hidden()
    code = page.get_by_role("button", name="Code", exact=True)
    code.focus()
    expect(said).to_contain_text("all that is stored and compared")
    expect(code).to_have_accessible_description(re.compile("The code is the row of bits"))
    page.keyboard.press("Escape")
    expect(said).to_be_hidden()
    page.keyboard.press("Enter")
    expect(said).to_be_visible()


def test_the_first_steps_are_walked_once(app: str, visit: Visit) -> None:
    page = visit(app)
    steps = page.locator("#steps")
    expect(steps).to_contain_text("1 of 3: Photo.")
    page.get_by_role("tab", name="About").click()
    expect(steps).to_be_hidden()
    page.get_by_role("tab", name="Search").click()
    for title in ("Mask.", "Bits."):
        steps.get_by_role("button", name="Next").click()
        expect(steps.locator("p:visible")).to_contain_text(title)
    expect(page.locator(".step.lit #code")).to_be_visible()
    steps.get_by_role("button", name="Done").click()
    expect(steps).to_be_hidden()
    assert page.evaluate("Object.entries(localStorage)") == [["face-hash-search-steps", "done"]]
    page.reload()
    expect(page.locator("#sentence")).to_contain_text("Match: Martha Roby.")
    expect(steps).to_be_hidden()


def test_the_result_card_is_offered(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(app)
    page.get_by_role("button", name="Make a result card").click()
    card = page.get_by_role("img", name=re.compile(r"Result card\. Match: Martha Roby\."))
    expect(card).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download the result card").click()
    assert saved.value.suggested_filename == "face-hash-search.png"
    keep(page)


def test_live_knows_who_was_remembered(app: str, visit: Visit, keep: Keep) -> None:
    page = visit(f"{app}?tab=live")
    words = page.locator("#live [data-live=words]")
    page.get_by_role("button", name="Start the camera").click()
    expect(words).to_contain_text("nobody in the gallery")
    expect(page.locator("#live .live-code")).to_be_visible()
    page.get_by_role("button", name="Remember me for this visit").click()
    expect(words).to_contain_text("Match: this looks like You.")
    keep(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#live .live-code")).to_be_hidden()


def test_the_reason_of_a_failure_stays(app: str, visit: Visit) -> None:
    page = visit(app)
    broken = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"}
    page.locator("#photo input[type=file]").set_input_files(broken)
    expect(page.locator("#sentence")).to_contain_text("not a photo that can be read")
    page.get_by_role("tab", name="Compare").click()
    page.locator("#photo-first input[type=file]").set_input_files(broken)
    expect(page.locator("#verdict")).to_contain_text("not a photo that can be read")
