"""Photographs the page for the documentation: `PYTHONPATH=. python docs/images/make.py`.

Needs Chromium. Starts the app over the shipped model and gallery, and writes the pictures beside
this file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from daah.retrieval import load_retriever
from daah.ui.layout import build_app
from daah.ui.settings import Settings

FOLDER = Path(__file__).parent


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
        compare(page)
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


def compare(page: Page) -> None:
    """One person with and without glasses."""
    page.get_by_role("tab", name="Compare").click()
    page.locator("#pairs button").first.click()
    page.get_by_role("button", name="Show where the bits that agree").click()
    expect(page.locator("#pair-bits img")).to_have_count(2)
    page.screenshot(path=FOLDER / "compare.jpg", type="jpeg", quality=85, full_page=True)


if __name__ == "__main__":
    main()
