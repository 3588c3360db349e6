"""The `/search` endpoint as other programs call it, and the doors that must stay shut."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from daah.retrieval.retriever import FaceRetriever
from daah.ui.about.tab import DOCS
from daah.ui.app import App, build_app
from daah.ui.page.events import AT_ONCE
from daah.ui.page.examples import FOLDER
from daah.ui.settings import Settings
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG, eventually

pytestmark = pytest.mark.slow

GROUP = FOLDER / "group.jpg"


def post(url: str, body: dict[str, Any], **headers: str) -> tuple[int, str]:
    """POST JSON: status and text."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def get(url: str) -> int:
    """GET: status."""
    try:
        with urllib.request.urlopen(url, timeout=HANG) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def called(url: str, data: list[Any]) -> str:
    """What `/search` says to `data`, as curl would read it."""
    status, text = post(f"{url}gradio_api/call/search", {"data": data})
    if status != 200:
        return text
    event = json.loads(text)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/search/{event}", timeout=HANG) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def client(app: str) -> Client:
    """A client of the real app."""
    return Client(app, verbose=False)


def test_a_search_returns_what_is_documented(client: Client) -> None:
    found = client.predict(handle_file(str(GROUP)), k=5, bits=64, api_name="/search")
    assert set(found) == {"faces", "faces_left_out", "seconds"}
    assert found["faces_left_out"] == 0
    assert set(found["seconds"]) == {"detect", "encode", "search"}
    assert len(found["faces"]) == 5
    with Image.open(GROUP) as image:
        width, height = image.size
    areas = []
    for face in found["faces"]:
        x0, y0, x1, y1 = face["box"]
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        areas.append((x1 - x0) * (y1 - y0))
        assert 0 <= face["score"] <= 1
        assert np.shape(face["landmarks"]) == (5, 2)
        assert re.fullmatch(r"[0-9a-f]{16}", face["code"])
        distances = [match["distance"] for match in face["matches"]]
        assert len(distances) == 5
        assert distances == sorted(distances)
        people = face["people"]
        assert len(people) == 5
        assert all(
            set(person) == {"person", "name", "agree", "bits", "verdict", "photo", "photos"}
            for person in people
        )
        agree = [person["agree"] for person in people]
        assert agree == sorted(agree, reverse=True)
        assert {person["bits"] for person in people} == {64}
        assert {person["verdict"] for person in people} <= {"match", "unclear", "no match"}
        # JavaScript would round the digits of a number of 63 bits.
        assert all(re.fullmatch(r"\d{1,19}", match["id"]) for match in face["matches"])
    assert areas == sorted(areas, reverse=True)


def test_defaults_are_eight_matches_and_the_whole_code(client: Client) -> None:
    found = client.predict(handle_file(str(FOLDER / "another-year.jpg")), api_name="/search")
    (face,) = found["faces"]
    assert len(face["matches"]) == 8
    assert len(face["code"]) == 256 // 4


def test_a_photo_turned_by_exif_gives_the_same_code(client: Client, tmp_path: Path) -> None:
    upright = FOLDER / "another-year.jpg"
    exif = Image.Exif()
    exif[0x0112] = 8
    turned = tmp_path / "turned.png"
    with Image.open(upright) as image:
        image.transpose(Image.Transpose.ROTATE_270).save(turned, exif=exif)
    codes = [
        client.predict(handle_file(str(path)), api_name="/search")["faces"][0]["code"]
        for path in (upright, turned)
    ]
    assert codes[0] == codes[1]


def test_no_face_is_no_error(client: Client) -> None:
    assert (
        client.predict(handle_file(str(FOLDER / "no-face.jpg")), api_name="/search")["faces"] == []
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [({"k": 0}, "expected 1 to 100"), ({"bits": 20}, "expected one of 16, 24, 32"),
     ({"k": 1000}, "expected 1 to 100")],
)  # fmt: skip
def test_wrong_arguments_are_told(client: Client, more: dict[str, int], words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(handle_file(str(GROUP)), **more, api_name="/search")


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0" + b"\0" * 300])
def test_an_unreadable_file_is_told_without_a_path(
    client: Client, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(str(path)), api_name="/search")
    assert "/tmp" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).rstrip().endswith((".", "it."))


def test_only_search_is_offered(client: Client) -> None:
    shown = client.view_api(return_format="dict", print_info=False)
    assert list(shown["named_endpoints"]) == ["/search", "/search_base64"]
    assert shown["unnamed_endpoints"] == {}
    for endpoint in shown["named_endpoints"].values():
        about = json.dumps(endpoint)
        assert '"k"' in about
        assert '"bits"' in about


def test_a_photo_as_base64_text_is_searched_as_an_upload_is(client: Client) -> None:
    picture = GROUP
    text = base64.b64encode(picture.read_bytes()).decode()
    as_text = client.predict(f"data:image/jpeg;base64,{text}", 3, 64, api_name="/search_base64")
    uploaded = client.predict(handle_file(str(picture)), 3, 64, api_name="/search")
    assert as_text["faces"] == uploaded["faces"]
    assert len(as_text["faces"]) == 5


@pytest.mark.parametrize(
    "picture",
    [
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
        {"path": "/etc/passwd"},
        {"path": "http://127.0.0.1:1/x.jpg", "meta": {"_type": "gradio.FileData"}},
        {"path": "../../../../etc/passwd", "meta": {"_type": "gradio.FileData"}},
        "http://127.0.0.1:1/x.jpg",
        None,
        7,
    ],
)
def test_forged_photos_are_refused(app: str, picture: Any) -> None:
    answer = called(app, [picture, 8, 128])
    assert "faces" not in answer
    assert "root:" not in answer
    assert "event: error" in answer or "422" in answer or "detail" in answer


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=app.py",
        f"gradio_api/file={DOCS.parent / 'app.py'}",
        f"gradio_api/file={FOLDER / 'another-year.jpg'}",
        "gradio_api/file=..%2F..%2Fetc%2Fpasswd",
        "gradio_api/file=http://127.0.0.1:1/x",
        "gradio_api/file=https://example.org/x",
        "gradio_api/proxy=https://x.hf.space/",
        "static/..%2f..%2f..%2f..%2fetc/passwd",
    ],
)
def test_no_file_of_the_host_and_no_address_is_served(app: str, path: str) -> None:
    assert get(app + path) in (403, 404, 405)


def test_a_foreign_origin_gets_nothing(app: str) -> None:
    body = {"data": [], "fn_index": 0, "session_hash": "x"}
    for origin in ("null", "https://evil.example"):
        request = urllib.request.Request(
            f"{app}gradio_api/queue/join",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Origin": origin},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=HANG)
        assert refused.value.code == 403
        assert refused.value.headers.get("Access-Control-Allow-Origin") is None


def test_a_full_queue_says_so(
    fake: FaceRetriever, host: Callable[[App], str], tmp_path: Path
) -> None:
    entered, leave = threading.Event(), threading.Event()
    detect = fake.detector.detect

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        entered.set()
        leave.wait(HANG)
        return detect(rgb)

    demo = build_app(fake, Settings(queue_size=1), {})
    client = Client(host(demo), verbose=False)
    fake.detector.detect = slow  # only now: the page is built with a search
    path = tmp_path / "red.png"
    Image.fromarray(photo((PEOPLE["red"], 300))).save(path)
    jobs = []

    def ask(begun: int, waiting: int, refused: int = 0) -> None:
        """Send one more, and wait until there are so many of each."""
        jobs.append(client.submit(handle_file(str(path)), api_name="/search"))
        assert eventually(
            lambda: (
                sum(batch is not None for batch in demo._queue.active_jobs) == begun
                and len(demo._queue) == waiting
                and sum(job.done() for job in jobs) == refused
            )
        )

    try:
        for begun in range(1, AT_ONCE + 1):  # one at work, the photos of others are read meanwhile
            ask(begun, waiting=0)
        assert entered.wait(HANG)
        ask(AT_ONCE, waiting=1)
        ask(AT_ONCE, waiting=1, refused=1)
        ask(AT_ONCE, waiting=1, refused=2)
    finally:
        leave.set()
    told = []
    for job in jobs:
        try:
            assert job.result(timeout=HANG)["faces"]
        except Exception as problem:
            told.append(str(problem))
    assert len(told) == 2
    assert all("queue" in text.lower() or "busy" in text.lower() for text in told)
