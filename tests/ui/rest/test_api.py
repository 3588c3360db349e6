"""The API over real HTTP: what it answers, what it changes, and what it refuses."""

from __future__ import annotations

import concurrent.futures
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from daah.errors import GalleryError
from daah.gallery import verify
from daah.ui.rest import people
from daah.ui.server.api_errors import CODES
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import eventually
from tests.safety.conftest import painted
from tests.ui.rest.conftest import TOKEN

pytestmark = pytest.mark.slow


BEARER = {"Authorization": f"Bearer {TOKEN}"}


def form(*files: bytes, names: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, bytes]]]:
    """Photos as a form sends them."""
    named = names or tuple(f"{i}.png" for i in range(len(files)))
    return [("photos", (name, data)) for name, data in zip(named, files, strict=True)]


def error(answer: httpx.Response, status: int, words: str = "", code: str = "") -> None:
    """Check that an answer is an error of the API's shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (key,) = answer.json()
    told = answer.json()[key]
    assert key == "error"
    assert set(told) == {"code", "message"}
    assert told["code"] == (code or CODES[status])
    assert words in told["message"]
    assert told["message"].endswith(".")


# --- faces ----------------------------------------------------------------------------------------


def test_encode_gives_the_codes_of_all_photos(public: httpx.Client) -> None:
    two, red = painted("red", "blue"), painted("red")
    answer = public.post("/encode", files=form(two, b"nothing", red), data={"bits": "64"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["model"], told["bits"]) == ("fake", 64)
    first, second, third = told["photos"]
    assert [p["photo"] for p in told["photos"]] == ["0.png", "1.png", "2.png"]
    assert (first["width"], first["height"], len(first["faces"])) == (800, 400, 2)
    assert second["faces"] == []
    assert second["error"]["code"] == "photo"
    assert third["error"] is None
    assert len(third["faces"][0]["code"]) == 16
    assert third["faces"][0]["code"] in [face["code"] for face in first["faces"]]
    assert set(third["faces"][0]) == {"box", "score", "landmarks", "code", "quality"}


def test_a_search_by_photo_and_one_by_its_code_find_the_same(public: httpx.Client) -> None:
    answer = public.post("/search", files=form(painted("blue")), data={"k": "2"})
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["photos"]
    (face,) = shown["faces"]
    assert face["people"][0]["person"] == "blue"
    assert answer.json()["people_searched"] == 3
    by_code = public.post("/search", json={"codes": [face["code"], face["code"]], "k": 2}).json()
    assert by_code["photos"] == []
    for found in by_code["codes"]:
        assert found["people"][0] == face["people"][0]
        assert [m["distance"] for m in found["matches"]] == [m["distance"] for m in face["matches"]]
    short = public.post("/search", json={"codes": [face["code"]], "k": 1, "bits": 24}).json()
    assert short["bits"] == 24
    assert short["codes"][0]["people"][0]["person"] == "blue"
    prefix = public.post("/search", json={"codes": [face["code"][:8]]}).json()
    assert prefix["bits"] == 32
    assert prefix["codes"][0]["people"][0]["person"] == "blue"


def test_compare_tells_the_same_person_from_others(public: httpx.Client) -> None:
    red, blue = painted("red"), painted("blue")
    same = public.post("/compare", files={"first": red, "second": red}).json()
    other = public.post("/compare", files={"first": red, "second": blue}).json()
    assert (same["distance"], same["same_person"]) == (0, True)
    assert other["same_person"] is False
    assert other["distance"] > other["threshold"]
    error(
        public.post("/compare", files={"first": red, "second": blank()}),
        422,
        "second photo",
        "photo",
    )


def blank() -> bytes:
    """A photo without a face."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 255, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


# --- lists ----------------------------------------------------------------------------------------


def pages(client: httpx.Client, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    key, found, cursor = path.strip("/"), [], ""
    while True:
        told = client.get(path, params={**query, "cursor": cursor}).json()
        found.append(told[key])
        if told["next"] is None:
            return found
        cursor = told["next"]


def test_lists_come_in_pages(public: httpx.Client) -> None:
    whole = pages(public, "/people", limit=2)
    assert [[p["person"] for p in page] for page in whole] == [["blue", "green"], ["red"]]
    assert public.get("/people", params={"q": "RE"}).json()["total"] == 2
    for limit in (1, 2, 3, 6):
        photos = [p for page in pages(public, "/photos", limit=limit) for p in page]
        ids = [int(p["id"]) for p in photos]
        assert ids == sorted(ids)
        assert len(ids) == 6
    mine = [p for page in pages(public, "/photos", limit=1, person="red") for p in page]
    assert {p["photo"] for p in mine} == {"red/0", "red/1"}


def test_one_person_and_one_photo(public: httpx.Client) -> None:
    assert public.get("/people/red").json() == {
        "person": "red", "name": "red", "photos": 2, "unnamed": False, "hidden": False,
    }  # fmt: skip
    photo = public.get("/photos", params={"person": "red"}).json()["photos"][0]
    assert public.get(f"/photos/{photo['id']}").json() == photo
    face = public.get(f"/photos/{photo['id']}/face")
    assert face.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(face.content)) as image:
        assert image.size == (224, 224)


@pytest.mark.parametrize(
    "path",
    ["/people/nobody", "/people/red/", "/people/", "/people/%2e%2e%2f", "/people/red%00",
     "/photos/1", "/photos/-1", "/photos/x", "/photos/9223372036854775808", "/photos/1e3",
     "/photos/٣", "/photos/" + "9" * 5000, "/photos/1/face", "/photos/-5/face", "/nothing", "/",
     "/people/" + "x" * 3000, "/photos?person=nobody", "/docs/x"],
)  # fmt: skip
def test_what_is_not_there(public: httpx.Client, path: str) -> None:
    error(public.get(path), 404)


# --- changes --------------------------------------------------------------------------------------


def test_who_is_enrolled_is_found_then(owner: httpx.Client) -> None:
    yellow, orange = photo(((220, 220, 20), 300)), photo(((220, 200, 30), 300))
    pngs = []
    for rgb in (yellow, orange):
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG")
        pngs.append(buffer.getvalue())
    before = owner.post("/search", files=form(pngs[0])).json()["photos"][0]["faces"][0]
    assert "match" not in {p["verdict"] for p in before["people"]}
    answer = owner.post(
        "/people",
        files=form(pngs[0], blank(), names=("../a.png", "none.png")),
        data={"person": "Ada/L", "name": "Ada Lovelace"},
    )
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert [p["photo"] for p in told["added"]] == ["a.png"]
    assert [p["photo"] for p in told["refused"]] == ["none.png"]
    found = owner.post("/search", files=form(pngs[1])).json()["photos"][0]["faces"][0]
    assert (found["people"][0]["name"], found["people"][0]["verdict"]) == ("Ada Lovelace", "match")
    assert owner.get("/people/Ada%2FL").json()["name"] == "Ada Lovelace"
    again = owner.post("/people", files=form(pngs[1], names=("a.png",)), data={"person": "Ada/L"})
    assert again.json()["added"][0]["id"] == told["added"][0]["id"]
    assert owner.get("/people/Ada%2FL").json()["photos"] == 1
    owner.delete("/people/Ada%2FL", params={"for_good": "true"})
    after = owner.post("/search", files=form(pngs[0])).json()["photos"][0]["faces"][0]
    assert [p["person"] for p in after["people"]] == [p["person"] for p in before["people"]]


def test_people_are_renamed_merged_moved_and_removed(owner: httpx.Client) -> None:
    renamed = owner.patch("/people/red", json={"name": "Rosa"}).json()
    assert (renamed["person"], renamed["photos"]) == ("Rosa", 2)
    error(owner.get("/people/red"), 404)
    error(owner.patch("/people/blue", json={"name": "Rosa"}), 409, "merge them")
    error(owner.patch("/people/blue", json={"name": "unnamed-3"}), 422)
    error(owner.patch("/people/blue", json={"hidden": True}), 409)
    merged = owner.post("/people/merge", json={"into": "Rosa", "others": ["green"]}).json()
    assert (merged["moved"], merged["person"]["photos"]) == (2, 4)
    error(owner.post("/people/merge", json={"into": "Rosa", "others": ["Rosa"]}), 409)
    error(owner.post("/people/merge", json={"into": "Rosa", "others": ["x"]}), 404)
    photo = owner.get("/photos", params={"person": "Rosa"}).json()["photos"][0]
    moved = owner.patch(f"/photos/{photo['id']}", json={"person": "Vera"}).json()
    assert moved == {**photo, "person": "Vera", "name": "Vera"}
    error(owner.patch(f"/photos/{photo['id']}", json={"person": "unnamed-3"}), 404)
    error(owner.patch(f"/photos/{photo['id']}", json={"person": " "}), 422)
    gone = owner.delete(f"/photos/{photo['id']}").json()
    assert gone["removed"] == 1
    error(owner.get(f"/photos/{photo['id']}"), 404)
    error(owner.get("/people/Vera"), 404)
    error(owner.delete(f"/photos/{photo['id']}"), 404)
    (back,) = owner.post("/undo", json={"removal": gone["undo"]}).json()["photos"]
    assert back == moved
    error(owner.post("/undo", json={"removal": gone["undo"]}), 409)
    error(owner.post("/undo", json={"removal": "../.."}), 409)
    assert owner.delete("/people/Rosa", params={"for_good": "true"}).json() == {
        "removed": 3, "undo": None,
    }  # fmt: skip
    assert [p["person"] for p in owner.get("/people").json()["people"]] == ["Vera", "blue"]


@pytest.mark.parametrize(
    ("data", "files", "words"),
    [
        ({"person": " "}, 1, "needs a name"),
        ({"person": "x" * 201}, 1, "longer than"),
        ({"person": "a\nb"}, 1, "control characters"),
        ({}, 1, "person"),
        ({"person": "Ada"}, 0, "photos"),
        ({"person": "Ada"}, -1, "No photo was enrolled"),
        ({"person": "Ada"}, -2, "the same name"),
        ({"person": "Ada"}, 11, "at most 10 photos"),
    ],
)
def test_enrolments_that_are_refused(
    guarded: httpx.Client, data: dict[str, str], files: int, words: str
) -> None:
    red = painted("red")
    sent = {-1: form(blank()), -2: form(red, red, names=("a", "a"))}.get(
        files, form(*[red] * max(0, files))
    )
    # A form without a file is one all the same.
    answer = guarded.post("/people", data=data, files=sent or {"other": ("", b"")}, headers=BEARER)
    error(answer, 422, words, "photo" if files == -1 else "")
    assert guarded.get("/people").json()["total"] == 3


def test_an_enrolment_as_somebody_without_a_name_needs_that_person(guarded: httpx.Client) -> None:
    sent = {"files": form(painted("red")), "data": {"person": "unnamed-9"}, "headers": BEARER}
    error(guarded.post("/people", **sent), 404)


# --- the token ------------------------------------------------------------------------------------

CHANGES = [
    ("POST", "/people"), ("POST", "/people/merge"), ("PATCH", "/people/red"),
    ("DELETE", "/people/red"), ("PATCH", "/photos/1"), ("DELETE", "/photos/1"), ("POST", "/undo"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_without_a_token_there_are_no_changes(public: httpx.Client, method: str, path: str) -> None:
    answer = public.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code in (404, 405)
    error(answer, answer.status_code)


def test_changes_that_are_not_there_are_not_documented(public: httpx.Client) -> None:
    paths = public.get("/openapi.json").json()["paths"]
    assert {m for path in ("/people", "/photos/{id}") for m in paths[path]} == {"get"}
    assert "/undo" not in paths


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"},
     {"Authorization": f"Basic {TOKEN}"}, {"Authorization": TOKEN},
     {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": f"Bearer {TOKEN}x"},
     {"Authorization": "Bearer é"}, {"Cookie": f"token={TOKEN}"}],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_changes_need_the_whole_token(
    guarded: httpx.Client,
    header: dict[str, str],
    method: str,
    path: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sent = {name: value.encode() for name, value in header.items()}
    answer = guarded.request(method, path, headers=sent)
    error(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert TOKEN not in "".join(capfd.readouterr())


def test_reading_needs_no_token(guarded: httpx.Client) -> None:
    assert guarded.get("/people").status_code == 200
    assert guarded.post("/search", files=form(painted("red"))).status_code == 200


# --- wrong calls ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [({"k": "0"}, "k"), ({"k": "101"}, "k"), ({"k": "x"}, "k"), ({"bits": "20"}, "16, 24"),
     ({"bits": "-1"}, "16, 24"), ({"k": "1" * 5000}, "k"), ({"other": "1"}, "not known")],
)  # fmt: skip
def test_wrong_options_of_a_search(public: httpx.Client, data: dict[str, str], words: str) -> None:
    error(public.post("/search", files=form(painted("red")), data=data), 422, words)


@pytest.mark.parametrize(
    "body",
    [{}, [], None, 1, "x", {"codes": []}, {"codes": "ab"}, {"codes": ["zz"]}, {"codes": [1]},
     {"codes": ["abc"]}, {"codes": ["ab" * 16, "ab"]}, {"codes": ["ab"], "bits": 128},
     {"codes": ["ab" * 5]}, {"codes": ["ab" * 16] * 101}, {"codes": ["ab" * 16], "k": "many"},
     {"codes": ["ab" * 16], "more": 1}, {"codes": ["ab" * 1000]}, {"codes": ["ab" * 17]}],
)  # fmt: skip
def test_wrong_codes(public: httpx.Client, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    error(public.post("/search", content=json.dumps(body), headers=headers), 422)


def test_bodies_that_are_none(public: httpx.Client) -> None:
    json_, plain = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    for content in (b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"codes":' * 50_000, b"nul"):
        error(public.post("/search", content=content, headers=json_), 400)
    for path in ("/search", "/encode", "/compare"):
        error(public.post(path, content=b"x", headers=plain), 415, "multipart/form-data")
        error(public.post(path), 415)
        for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
            answer = public.post(path, content=b"--y\r\n\r\n", headers={"Content-Type": kind})
            error(answer, answer.status_code)
            assert answer.status_code in (400, 422)
    error(public.post("/encode", content=b"{}", headers=json_), 415)
    error(public.post("/search", content=b"x=1", headers={"Content-Type": "x"}), 415)


def test_large_bodies_are_refused_before_they_are_read(public: httpx.Client) -> None:
    large = bytes(41 * 2**20)
    error(public.post("/encode", files=form(large)), 413)
    error(public.post("/search", json={"codes": ["a" * 2**20]}), 413)
    text = {"photos": "x" * 20_000}
    answer = public.post("/encode", data=text, files={"a": b"x"})
    error(answer, 400)


def test_methods_and_places_that_are_not_there(public: httpx.Client) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
        answer = public.request(method, "/search")
        assert answer.status_code == 405
        if method != "HEAD":
            error(answer, 405)


def test_pages_of_other_sites_get_nothing(public: httpx.Client) -> None:
    for origin in ("null", "https://evil.example"):
        answer = public.post("/search", files=form(painted("red")), headers={"Origin": origin})
        error(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_a_body_without_a_length_is_refused(public: httpx.Client) -> None:
    error(public.post("/search", content=iter([b"{}"])), 411)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "cursor=%25", "cursor=YW",
                                   "hidden=maybe", "q=" + "x" * 201])  # fmt: skip
def test_wrong_pages(public: httpx.Client, query: str) -> None:
    error(public.get(f"/people?{query}"), 422)


def test_a_cursor_of_another_list(public: httpx.Client) -> None:
    cursor = public.get("/people", params={"limit": 1}).json()["next"]
    error(public.get("/photos", params={"cursor": cursor}), 404)


# --- more than one --------------------------------------------------------------------------------


def test_nothing_of_a_call_is_on_the_disk_or_in_the_log(
    public: httpx.Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    written = []
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", lambda *_: written.append(1))
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    assert len(buffer.getvalue()) > 4 * 2**20
    secret = "a-name-that-nobody-else-has.png"
    public.post("/encode", files=form(buffer.getvalue(), names=(secret,)))
    public.post("/encode", files=form(b"x" * 3_000_000, names=(secret,)))
    assert written == []
    assert secret not in "".join(capfd.readouterr())


def test_concurrent_changes_lose_nothing(owner: httpx.Client) -> None:
    """Ten people enrolled at once, while others are moved and removed."""
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 230, (10, 3))

    def enrol(i: int) -> int:
        buffer = io.BytesIO()
        Image.fromarray(photo((tuple(int(v) for v in colours[i]), 300))).save(buffer, "PNG")
        files = form(buffer.getvalue())
        return owner.post("/people", files=files, data={"person": f"p{i}"}).status_code

    def change(i: int) -> int:
        if i % 2:
            return owner.patch("/people/red", json={"name": "red"}).status_code
        told = owner.delete("/people/blue")
        if told.status_code == 200:
            owner.post("/undo", json={"removal": told.json()["undo"]})
        return told.status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(enrol, i) for i in range(10)]
        others = [pool.submit(change, i) for i in range(6)]
        assert {job.result() for job in done} == {201}
        assert {job.result() for job in others} <= {200, 404}
    names = {p["person"] for p in owner.get("/people").json()["people"]}
    assert names == {*PEOPLE, *(f"p{i}" for i in range(10))}
    found = verify(owner.gallery)
    assert (found.store, found.missing, found.orphans, found.unfinished) == ("", (), (), ())


def test_a_failure_is_answered_and_its_place_is_logged(
    owner: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(people, "_find", fail)
    error(owner.get("/people/red"), 500, "server failed")
    # It is logged after the answer.
    assert eventually(lambda: "ZeroDivisionError in " in caplog.text)
    assert "reached by ui/rest/people.py" in caplog.text
    assert "secret" not in caplog.text


def test_a_gallery_that_is_gone_is_told(
    owner: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise GalleryError("The gallery painted is damaged.")

    monkeypatch.setattr(owner.gallery.store, "people", gone)
    error(owner.get("/people/red"), 503, "is damaged")


def test_the_document_is_whole(owner: httpx.Client) -> None:
    told = owner.get("/openapi.json").json()
    assert told["servers"] == [{"url": "/api/v1"}]
    routes = [route for methods in told["paths"].values() for route in methods.values()]
    assert len(routes) == 15
    for route in routes:
        assert route["description"].endswith(".")
        assert set(route["responses"]) - {"200", "201"} == {"4XX", "5XX"}
    text = json.dumps(told)
    assert "HTTPValidationError" not in text
    page = owner.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].count("sha256-") == 1
    for path in told["paths"]:
        assert f"/api/v1{path}" in page.text
    assert "http" not in page.text.replace("HTTP", "")
