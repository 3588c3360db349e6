"""What a page whose engine runs in the browser may ask of the server."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from daah import codes
from daah.gallery import Gallery
from daah.models.encoder import FaceEncoder
from daah.paths import PATHS
from daah.retrieval.retriever import FaceRetriever
from daah.ui.ondevice import people
from daah.ui.ondevice.files import DETECTOR, DeviceFiles
from daah.ui.ondevice.routes import FULL, KEPT, DeviceRoutes
from daah.ui.server.turns import SHARE
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles.retriever import PEOPLE, encoded
from tests.doubles.waiting import HANG

Client = Callable[..., TestClient]


@pytest.fixture
def client() -> Client:
    """Makes a client of the routes over a retriever."""

    def make(retriever: FaceRetriever, **settings: Any) -> TestClient:
        context = AppContext(retriever, Settings(**settings), {})
        return TestClient(Starlette(routes=DeviceRoutes(context, DeviceFiles(retriever)).routes()))

    return make


def ask(client: TestClient, code: np.ndarray, **more: Any) -> Any:
    """Search by a code (B,) uint8."""
    return client.post("/on-device/search", json={"code": codes.to_hex(code), **more})


def test_a_code_finds_the_people_that_the_server_finds(fake: FaceRetriever, client: Client) -> None:
    face = encoded(PEOPLE["green"])
    expected = fake.match_people(face, 3)
    answer = ask(client(fake), codes.pack(face.code.bits), people=3).json()
    assert answer["searched"] == 3
    assert answer["photos"] == 6
    found = [(p["name"], p["distance"], p["photos"]) for p in answer["people"]]
    assert found[0] == ("green", expected[0].distance, 2)
    assert sorted(found) == sorted((p.name, p.distance, p.photos) for p in expected)
    assert all(p["picture"].startswith("data:image/jpeg;base64,") for p in answer["people"])


@pytest.mark.parametrize("bits", [16, 64, 128])
def test_a_shorter_code_is_compared_by_its_length(
    fake: FaceRetriever, client: Client, bits: int
) -> None:
    face = encoded(PEOPLE["red"])
    prefix = codes.prefix(codes.pack(face.code.bits), bits)
    (best,) = ask(client(fake), prefix, people=1).json()["people"]
    assert best["distance"] == fake.match_people(face, 1, bits)[0].distance


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 2000,
        b"[]",
        b'"text"',
        b"{}",
        b'{"code": 7}',
        b'{"code": ""}',
        b'{"code": "zz"}',
        b'{"code": "abcd ef01"}',
        b'{"code": "abcd", "people": 0}',
        b'{"code": "abcd", "people": true}',
        b'{"code": "abcd", "people": 25}',
        b'{"code": "abcd", "photo": "x"}',
        b'{"code": "%s"}' % (b"ab" * 17),
    ],
)
def test_anything_but_a_code_is_refused(fake: FaceRetriever, client: Client, body: bytes) -> None:
    answer = client(fake).post("/on-device/search", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert answer.json()["error"]["message"]


def test_codes_of_a_gallery_that_somebody_made_stay_on_a_public_server(
    fake: FaceRetriever, client: Client
) -> None:
    refused = client(fake).get("/on-device/people")
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, KEPT)
    for settings in ({"public": False}, {"share_codes": True}):
        rows = client(fake, **settings).get("/on-device/people").json()["people"]
        assert sorted(name for name, _, _ in rows) == ["blue", "green", "red"]
    green = next(code for name, code, _ in rows if name == "green")
    query = codes.pack(encoded(PEOPLE["green"]).code.bits)[None]
    distance = fake.gallery.store.search_people(query, 1).distances[0, 0]
    assert codes.hamming(query, codes.from_hex(green)[None])[0, 0] == distance


def test_codes_of_a_built_in_gallery_are_in_the_page_while_it_is_small(
    fake: FaceRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery: Gallery = fake.gallery
    gallery.provenance = dataclasses.replace(gallery.provenance, source="congress")
    assert people.shares_codes(fake, Settings())
    monkeypatch.setattr(people, "MOST_PHOTOS", 5)
    assert not people.shares_codes(fake, Settings())


def test_an_empty_gallery_has_nobody(tmp_path: Path, fake: FaceRetriever, client: Client) -> None:
    with Gallery.open(tmp_path / "empty", fake.encoder) as gallery:
        empty = client(FaceRetriever(fake.detector, fake.encoder, gallery), public=False)
        assert empty.get("/on-device/people").json() == {"people": []}
        face = codes.pack(encoded(PEOPLE["red"]).code.bits)
        assert ask(empty, face).json() == {"people": [], "searched": 0, "photos": 0}


def test_a_queue_that_is_full_refuses(
    fake: FaceRetriever, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    search = people.search

    def slow(*args: Any) -> dict[str, Any]:
        entered.set()
        leave.wait(HANG)
        return search(*args)

    monkeypatch.setattr(people, "search", slow)
    code = codes.pack(encoded(PEOPLE["red"]).code.bits)
    for size, status, words in ((1, 503, FULL), (2, 429, SHARE)):
        entered.clear()
        leave.clear()
        with client(fake, queue_size=size) as here:
            first: list[Any] = []
            asking = threading.Thread(target=lambda: first.append(ask(here, code)))  # noqa: B023
            asking.start()
            assert entered.wait(HANG)
            refused = ask(here, code)
            leave.set()
            asking.join(HANG)
            assert refused.status_code == status
            assert refused.json()["error"]["message"] == words
            assert refused.headers["retry-after"]
            assert first[0].status_code == 200
            assert ask(here, code).status_code == 200


def test_setup_says_what_the_shipped_model_is_judged_by(
    congress: FaceRetriever, encoder: FaceEncoder, client: Client
) -> None:
    here = client(congress)
    setup = here.get("/on-device/setup").json()
    assert setup["lengths"] == list(encoder.lengths)
    assert setup["people"] == congress.count_people()
    assert setup["shares"]
    limits = encoder.calibration.search_limits(encoder.bits)
    assert setup["searches"][str(encoder.bits)]["limits"] == [list(row) for row in limits.limits]
    known = encoder.calibration.quality
    assert setup["quality"]["limits"] == known.limits
    assert set(setup["models"]) == {*DETECTOR, "encoder"}
    sent = here.get(f"/{setup['models']['encoder']}")
    assert sent.content == PATHS.checkpoint.read_bytes()
    assert "immutable" in sent.headers["cache-control"]
    for example in setup["examples"].values():
        assert here.get(f"/{example}").headers["content-type"] == "image/jpeg"


def test_scripts_have_an_address_that_names_their_contents(
    fake: FaceRetriever, client: Client
) -> None:
    files, here = DeviceFiles(fake), client(fake)
    assert not files.models  # painted squares have no network to send
    for name in ("engine.js", "worker.js", "switch.js"):
        sent = here.get(f"/{files.base}{name}")
        assert sent.headers["content-type"].startswith("text/javascript")
        assert "immutable" in sent.headers["cache-control"]
    for name in ("panels.css", "../routes.py", "..%2froutes.py", "LICENSE", "", "nothing.js"):
        assert here.get(f"/{files.base}{name}").status_code == 404
    assert here.get("/on-device/0000000000000000/engine.js").status_code == 404
    assert here.post("/on-device/setup").status_code == 405
    assert here.get("/on-device/search").status_code == 404
