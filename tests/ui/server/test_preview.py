"""What a link to the page looks like elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import httpx
from PIL import Image

from daah.ui.search import card
from daah.ui.server import preview


def test_the_page_names_itself_and_never_gradio(launch: Callable[..., str]) -> None:
    url = launch().rstrip("/")
    page = httpx.get(url).text
    head = page[: page.index("window.gradio_config")]
    found = re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)"', head)
    tags = dict(found)
    assert tags["og:title"] == tags["twitter:title"] == "Face hash search"
    assert tags["og:description"] == preview.DESCRIPTION
    assert tags["og:url"] == f"{url}/"
    assert tags["twitter:card"] == "summary_large_image"
    assert head.count('property="og:title"') == 1
    assert "gradio.app" not in head.lower()
    assert 'content="Gradio"' not in head
    assert "@gradio" not in head.lower()
    drawn = httpx.get(tags["og:image"])
    with Image.open(io.BytesIO(drawn.content)) as picture:
        assert picture.size == card.SIZE == (1200, 630)
    assert tags["og:image"].startswith(f"{url}/")
    for icon in ("/favicon.ico", "/favicon.png"):
        with Image.open(io.BytesIO(httpx.get(url + icon).content)) as picture:
            assert picture.size == (64, 64)


def test_behind_a_proxy_the_address_is_the_outer_one(launch: Callable[..., str]) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "faces.example"}
    page = httpx.get(launch(), headers=headers).text
    assert '<meta property="og:image" content="https://faces.example/preview.png">' in page
    headers["X-Forwarded-Host"] = 'x"><script>alert(1)</script>'
    assert "<script>alert(1)" not in httpx.get(launch(), headers=headers).text


def test_only_the_head_is_changed() -> None:
    tag = b'<meta property="og:title" content="Gradio" />'
    page = b"<html><head>" + tag + b"</head><script>window.gradio_config = '" + tag + b"'</script>"
    made = preview.with_preview(page, "http://a")
    assert made.count(tag) == 1
    assert made.index(tag) > made.index(b"window.gradio_config")
    assert preview.with_preview(b"no head", "http://a") == b"no head"


def test_the_picture_is_small_enough_to_be_fetched() -> None:
    assert preview.PICTURES["/preview.png"].stat().st_size < 300_000
