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


def main() -> None:
    """Write every picture."""
    demo = build_app(load_retriever(read_only=True), Settings())
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1366, "height": 768})
        page.goto(url)
        search(page)
        gallery(page)
        methods(page)
        compare(page)
        phone = chromium.new_page(
            viewport={"width": 390, "height": 844}, color_scheme="dark", device_scale_factor=2
        )
        phone.goto(url)
        expect(phone.locator("#code rect").first).to_be_visible()
        phone.screenshot(path=FOLDER / "phone-dark.jpg", type="jpeg", quality=85)
        chromium.close()
    demo.close()


def search(page: Page) -> None:
    """The first screen, with the finished example."""
    expect(page.locator("#best h3")).to_be_visible()
    expect(page.locator("#code rect").first).to_be_visible()
    page.screenshot(path=FOLDER / "search.jpg", type="jpeg", quality=85)


def gallery(page: Page) -> None:
    """The map with the face in it, and one person opened."""
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#map g.query")).to_be_visible()
    page.locator("#gallery-people .card").first.click()
    expect(page.locator("#entry h2")).to_be_visible()
    page.screenshot(path=FOLDER / "gallery.jpg", type="jpeg", quality=85, full_page=True)


def methods(page: Page) -> None:
    """The same face by every method."""
    page.get_by_role("tab", name="Methods").click()
    expect(page.locator("#methods .method").first).to_be_visible(timeout=120_000)
    page.locator("#methods .method").last.scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, 0)")
    bottom = page.locator("#methods").bounding_box()
    clip = {"x": 0, "y": 0, "width": 1366, "height": bottom["y"] + bottom["height"] + 20}
    page.screenshot(path=FOLDER / "methods.jpg", type="jpeg", quality=80, clip=clip, full_page=True)


def compare(page: Page) -> None:
    """One person with and without glasses."""
    page.get_by_role("tab", name="Compare").click()
    page.locator("#pairs button").first.click()
    page.get_by_role("button", name="Show which face regions the shared").click()
    expect(page.locator("#pair-bits img")).to_have_count(2)
    page.screenshot(path=FOLDER / "compare.jpg", type="jpeg", quality=85, full_page=True)


if __name__ == "__main__":
    main()
