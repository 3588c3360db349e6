"""Photographs the page for the documentation: `python -m scripts.make_screenshots`.

Needs Chromium. Starts the app over the shipped model and gallery, and writes docs/images.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from daah.retrieval.loading import load_retriever
from daah.ui.app import build_app
from daah.ui.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "images"

#: The page as a card of 1200x630: the name, the heatmap and the code.
_CARD = """
#header nav, #header .privacy, .left, #tabs > .tab-wrapper, #boxes, #chips, #sentence, #matches,
#download, footer, #heatmap figure:first-child, #heatmap h2, #heatmap > * .hint, #code .hint,
#code .hex, #code .legend, #heatmap .key, #heatmap figcaption { display: none !important; }
#header h1 { font-size: 54px !important; margin-top: 24px !important; }
#header .lead { font-size: 26px !important; }
.gradio-container .app { padding: 20px 56px !important; }
.right { flex-flow: row nowrap !important; gap: 56px !important; align-items: center; }
.right > * { min-width: 0 !important; }
.right > #heatmap { flex: none !important; width: 300px !important; }
.right > #code { flex: 1 1 0 !important; }
#code h2 { font-size: 24px !important; }
.byte { grid-template-columns: repeat(8, 26px) !important; }
.part button.cell { width: 26px !important; height: 34px !important; }
#heatmap .look { grid-template-columns: 300px !important; margin-top: 24px; }
"""


def main() -> None:
    """Write every picture."""
    demo = build_app(load_retriever(read_only=True), Settings())
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        search(page)
        gallery(page)
        methods(page)
        compare(page)
        card = chromium.new_page(viewport={"width": 1200, "height": 630})
        card.goto(url)
        thumbnail(card)
        phone = chromium.new_page(
            viewport={"width": 390, "height": 844}, color_scheme="dark", device_scale_factor=2
        )
        phone.goto(url)
        expect(phone.locator("#code .cell").first).to_be_visible()
        phone.screenshot(path=FOLDER / "phone-dark.jpg", type="jpeg", quality=85)
        chromium.close()
    demo.close()


def search(page: Page) -> None:
    """Three faces, the best match chosen."""
    page.locator("#examples").get_by_role("button", name="Three faces").click()
    expect(page.locator("#chips .chip")).to_have_count(3)
    page.locator("#matches .card").first.click()
    expect(page.locator("#match .compare")).to_have_count(2)
    page.locator("#header").scroll_into_view_if_needed()
    page.screenshot(path=FOLDER / "search.jpg", type="jpeg", quality=85, full_page=True)


def gallery(page: Page) -> None:
    """The map with the face in it, and one person opened."""
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#map g.query")).to_be_visible()
    page.locator("#people .card").first.click()
    expect(page.locator("#entry h2")).to_be_visible()
    page.screenshot(path=FOLDER / "gallery.jpg", type="jpeg", quality=85, full_page=True)


def methods(page: Page) -> None:
    """The same face by every method."""
    page.get_by_role("tab", name="Methods").click()
    expect(page.locator("#methods .method").first).to_be_visible(timeout=120_000)
    page.locator("#methods .method").last.scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 0)")
    bottom = page.locator("#methods").bounding_box()
    clip = {"x": 0, "y": 0, "width": 1280, "height": bottom["y"] + bottom["height"] + 20}
    page.screenshot(path=FOLDER / "methods.jpg", type="jpeg", quality=80, clip=clip, full_page=True)


def thumbnail(page: Page) -> None:
    """What is shown where the page is shared: two sentences, a face, and where the model looks."""
    expect(page.locator("#heatmap .compare")).to_be_visible()
    page.add_style_tag(content=_CARD)
    page.screenshot(path=FOLDER / "thumbnail.jpg", type="jpeg", quality=85)


def compare(page: Page) -> None:
    """One person with and without glasses."""
    page.get_by_role("tab", name="Compare").click()
    page.locator("#pairs button").first.click()
    page.get_by_role("button", name="Show where the bits that agree").click()
    expect(page.locator("#pair-bits img")).to_have_count(2)
    page.screenshot(path=FOLDER / "compare.jpg", type="jpeg", quality=85, full_page=True)


if __name__ == "__main__":
    main()
