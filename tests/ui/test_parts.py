"""Live, the gallery's handlers, the landing, settings, the guard, and what was measured."""

from __future__ import annotations

import base64
import datetime
import io
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from benchmarks.visitor import Visitor
from daah.errors import ConfigError, DataError, GalleryError, ImageError
from daah.gallery import SessionGallery
from daah.models.encoder import FaceEncoder
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.gallery import actions as gallery_actions
from daah.ui.gallery import html as gallery_html
from daah.ui.live.frames import Live
from daah.ui.page.components import Photo
from daah.ui.page.examples import EXAMPLES, PAIRS
from daah.ui.page.html import data_uri
from daah.ui.quality import html as quality_html
from daah.ui.quality import reports
from daah.ui.search import actions as search_actions
from daah.ui.search import start_example
from daah.ui.server import inputs, middleware
from daah.ui.server.retention import Forgetter
from daah.ui.server.visits import Visit
from daah.ui.settings import Settings
from daah.ui.state.context import Desk
from daah.ui.state.session import MODEL, Options
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
LOCAL = Settings(public=False)


def saved(path: Path, rgb: np.ndarray) -> str:
    """A photo as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return str(path)


def png(rgb: np.ndarray) -> bytes:
    """Pixels as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------ live


def test_a_frame_says_what_to_draw(fake: FaceRetriever) -> None:
    answer = Live(Desk(fake, LOCAL)).frame(data_uri(photo((RED, 300))))
    (face,) = answer["faces"]
    assert (answer["width"], answer["height"]) == (400, 400)
    assert face["box"] == pytest.approx([20, 20, 320, 320], abs=6)
    assert face["same"]
    assert face["label"].startswith("red, ")
    a, b, c, d, e, f = face["matrix"]
    assert (a + c + e, b + d + f) == pytest.approx((320, 320), abs=6)
    heat = Image.open(io.BytesIO(base64.b64decode(face["heat"].split(",")[1])))
    assert heat.size == (48, 48)


def test_a_frame_without_a_face_or_without_a_picture(fake: FaceRetriever) -> None:
    live = Live(Desk(fake, LOCAL))
    assert live.frame(data_uri(photo()))["faces"] == []
    for bad in ("", "nonsense", "data:image/png;base64,AAAA", "data:text/html;base64,AAAA"):
        assert set(live.frame(bad)) == {"error"}


def test_a_frame_is_dropped_while_another_is_at_work(fake: FaceRetriever) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        entered.set()
        leave.wait(HANG)
        return []

    live = Live(Desk(fake, LOCAL))
    fake.detector.detect = slow
    worker = threading.Thread(target=live.frame, args=(data_uri(photo()),))
    worker.start()
    assert entered.wait(HANG)
    assert live.frame(data_uri(photo())) == {"busy": True}
    assert worker.is_alive()  # the answer came while the other is at work
    leave.set()
    worker.join()
    assert live.frame(data_uri(photo()))["faces"] == []


def test_a_frame_does_not_wait_behind_a_search(fake: FaceRetriever) -> None:
    entered, leave = threading.Event(), threading.Event()
    detect = fake.detector.detect

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        if min_face is None:  # a search; Live says how small a face may be
            entered.set()
            leave.wait(HANG)
        return detect(rgb)

    demo = build_app(fake, Settings(), {})
    fake.detector.detect = slow  # only now: the page is built with a search
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        visitor, other = Visitor(url), Visitor(url)
        value = visitor.photo("red.png", png(photo((RED, 300))))
        searching = threading.Thread(target=visitor.send, args=("photo", "input", {"photo": value}))
        searching.start()
        assert entered.wait(HANG)
        (live,) = (c["id"] for c in other.config["components"]
                   if c["props"].get("elem_id") == "live")  # fmt: skip
        asked = {"data": data_uri(photo((BLUE, 300))), "component_id": live, "fn_name": "frame"}
        reply = other.post("/gradio_api/component_server", asked | {"session_hash": other.session})
        assert json.loads(reply.body)["faces"][0]["name"] == "blue"
        assert searching.is_alive()
        leave.set()
        searching.join(HANG)
    finally:
        leave.set()
        demo.close()


# --------------------------------------------------------------------------------------- gallery


def test_the_map_has_a_point_for_each_photo_and_the_visitors_face(fake: FaceRetriever) -> None:
    desk = Desk(fake, LOCAL)
    drawn = gallery_actions.draw_map(desk, fake_retriever.encoded(RED))
    assert len(drawn.ids) == 6
    assert sorted(set(drawn.people)) == ["blue", "green", "red"]
    assert drawn.query is not None
    x, y = drawn.xy[2]
    assert gallery_actions.nearest_point(drawn, float(x), float(1 - y)) in drawn.ids.tolist()
    html = gallery_html.map_picture(drawn, "red")
    assert html.count("<circle") == 6
    assert html.count('class="chosen"') == 2
    assert "this face, as searched for" in html


def test_a_point_of_the_picture_is_a_point_of_the_map() -> None:
    place = gallery_html._place(np.array([[0.25, 0.75]], np.float32))[0] / gallery_html.SIDE
    assert gallery_html.unplace(*place) == pytest.approx((0.25, 0.25), abs=1e-3)


def test_people_are_found_by_name_and_the_visitors_own_come_first(fake: FaceRetriever) -> None:
    own = SessionGallery().add("Redmond", "x/1", fake_retriever.encoded(BLUE))
    found, total = gallery_actions.find_people(fake.gallery, own, "RED", 10)
    assert [(p.name, p.own) for p in found] == [("Redmond", True), ("red", False)]
    assert total == 2
    found, total = gallery_actions.find_people(fake.gallery, own, "", 2)
    assert (len(found), total) == (2, 4)
    assert "2 more" in gallery_html.people(found, total, lambda _: photo(), "")
    assert "Nobody named" in gallery_html.people([], 0, lambda _: photo(), "zoe")


def test_another_gallery_is_not_described_as_the_built_in_one(fake: FaceRetriever) -> None:
    demo = build_app(fake, Settings(), {})
    about = next(b.value for b in demo.blocks.values() if b.elem_id == "about")
    assert "Source: " in about
    assert "nineties" not in about
    assert "$" not in about.split("##")[2]
    demo.close()


def test_people_are_sorted_as_people_count() -> None:
    names = ["s10", "s2", "Zoe", "s1", "7up", "٣", "", "anna", "s" + "9" * 5000]
    ordered = sorted(names, key=gallery_actions._counted)
    assert ordered[:3] == ["", "7up", "anna"]
    assert [name for name in ordered if name in ("s1", "s2", "s10")] == ["s1", "s2", "s10"]
    assert set(ordered) == set(names)


def test_a_photo_opens_with_others_of_the_person(fake: FaceRetriever) -> None:
    entry = next(fake.gallery.entries("green"))
    photos = gallery_actions.photos_of(fake.gallery, SessionGallery(), entry.id)
    assert photos[0].id == entry.id
    assert {p.person for p in photos} == {"green"}
    assert len(photos) == 2
    with pytest.raises(GalleryError):
        gallery_actions.photos_of(fake.gallery, SessionGallery(), -5)


def test_additions_of_a_visit_leave_the_gallery_as_it_is(fake: FaceRetriever) -> None:
    own = gallery_actions.add_for_visit(fake, SessionGallery(), "Ann", photo((RED, 200)))
    own = gallery_actions.add_for_visit(fake, own, "Ann", photo((BLUE, 200)))
    assert own.people() == {"Ann": 2}
    assert fake.gallery.count() == 6
    with pytest.raises(ImageError):
        gallery_actions.add_for_visit(fake, own, "Ann", None)
    with pytest.raises(ImageError, match="No face"):
        gallery_actions.add_for_visit(fake, own, "Ann", photo())
    with pytest.raises(ConfigError):
        gallery_actions.add_for_visit(fake, own, "  ", photo((RED, 200)))


def test_a_local_run_adds_removes_imports_and_chooses(fake: FaceRetriever, tmp_path: Path) -> None:
    desk = Desk(fake, LOCAL)
    files = [saved(tmp_path / "a.png", photo((RED, 200))), saved(tmp_path / "b.png", photo())]
    added, skipped = gallery_actions.add_person(desk, "Ann", files, lambda *_: None)
    assert (added, [name for name, _ in skipped]) == (1, ["b.png"])
    assert "b.png" in gallery_html.outcome(added, skipped)
    gallery_actions.redraw(desk)
    assert len(gallery_actions.draw_map(desk).ids) == 7
    assert gallery_actions.remove_person(desk, "Ann") == 1
    with pytest.raises(GalleryError):
        gallery_actions.remove_person(desk, "Ann")

    saved(tmp_path / "tree" / "Bob" / "1.png", photo((GREEN, 200)))
    saved(tmp_path / "tree" / "Cid" / "1.png", photo((BLUE, 200)))
    with pytest.raises(GalleryError, match="no gallery mine"):
        desk.choose(str(tmp_path / "mine"))
    with pytest.raises(GalleryError, match="holds other files"):
        desk.choose(str(tmp_path / "tree"), create=True)
    assert desk.retriever is fake
    assert {path.name for path in (tmp_path / "tree").iterdir()} == {"Bob", "Cid"}
    desk.choose(str(tmp_path / "mine"), create=True)
    assert desk.retriever is not fake
    told: list[str] = []
    report = gallery_actions.import_folder(
        desk, str(tmp_path / "tree"), lambda _, text: told.append(text)
    )
    assert report == (2, 0, [])
    assert told[-1].startswith("2 of 2: ")
    assert desk.retriever.gallery.people() == {"Bob": 1, "Cid": 1}
    with pytest.raises(DataError):
        gallery_actions.import_folder(desk, str(tmp_path / "nowhere"), lambda *_: None)
    desk.retriever.gallery.close()


def test_a_public_host_refuses_every_change(fake: FaceRetriever, tmp_path: Path) -> None:
    desk = Desk(fake, Settings())
    for change in (
        lambda: gallery_actions.add_person(desk, "Ann", ["x"], lambda *_: None),
        lambda: gallery_actions.remove_person(desk, "red"),
        lambda: gallery_actions.import_folder(desk, str(tmp_path), lambda *_: None),
        lambda: gallery_actions.redraw(desk),
        lambda: desk.choose(str(tmp_path / "other")),
    ):
        with pytest.raises(GalleryError, match="read-only"):
            change()
    assert fake.gallery.count() == 6


# --------------------------------------------------------------------------- examples and landing


def test_every_example_is_there_and_named() -> None:
    labels = [example.label for example in EXAMPLES]
    assert labels == [
        "One face", "Three faces", "Glasses", "Turned head", "Not in the gallery", "No face",
    ]  # fmt: skip
    for example in EXAMPLES:
        assert example.read().ndim == 3
        assert example.alt
    for pairing in PAIRS:
        assert len(pairing.read()) == 2


def test_a_landing_is_read_back_without_the_network(
    fake: FaceRetriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "example.png"
    saved(picture, photo((RED, 300)))
    monkeypatch.setattr(start_example, "EXAMPLE", SimpleNamespace(read=lambda: photo((RED, 300))))
    file = tmp_path / "landing.npz"
    start_example.save_landing(fake, file)
    before = fake.encoder.calls
    session = start_example.load_landing(fake, file)
    view = search_actions.look(fake, search_actions.choose_bit(fake, session, Options(64, 4, 9), 5),
                         Options(64, 4, 9))  # fmt: skip
    assert fake.encoder.calls == before
    assert view.matches[0][0].person == "red"
    assert session.example
    assert not session.expired(0)
    fake.encoder.fingerprint = "e" * 64
    again = start_example.load_landing(fake, file)
    assert fake.encoder.calls > before
    assert np.array_equal(again.encoded[MODEL][0].code.bits, session.encoded[MODEL][0].code.bits)


# ------------------------------------------------------------------------------ settings and guard


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().public
    made = Settings.from_environment({"DAAH_PUBLIC": "no", "DAAH_KEEP_SECONDS": "300"})
    assert (made.public, made.keep_seconds, made.keep_words) == (False, 300, "5 minutes")
    for wrong in ({"DAAH_PUBLIC": "maybe"}, {"DAAH_QUEUE_SIZE": "x"}, {"DAAH_QUEUE_SIZE": "0"}):
        with pytest.raises(ConfigError):
            Settings.from_environment(wrong)


@pytest.mark.parametrize(
    "content", [b"", b"not a photo", b"\xff\xd8\xff\xe0" + b"0" * 60, b"<svg/>"]
)
def test_an_unreadable_photo_is_a_sentence_without_a_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret-place.jpg"
    path.write_bytes(content)
    with pytest.raises(gr.Error) as caught:
        Photo(render=False).preprocess(ImageData(path=str(path), orig_name="photo.jpg"))
    assert "secret-place" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert Photo(render=False).preprocess(None) is None
    assert Photo(render=False).get_block_name() == "image"


@pytest.mark.parametrize(
    "value",
    [
        {"path": "http://127.0.0.1/x.jpg", "meta": {"_type": "gradio.FileData"}},
        {"path": "/etc/passwd"},
        [{"deep": {"path": "https://example.org/x", "meta": {"_type": "gradio.FileData"}}}],
        {"path": "/tmp/x", "meta": None},
    ],
)
def test_a_photo_by_address_or_without_a_mark_is_refused(value: Any) -> None:
    with pytest.raises(gr.Error, match="uploads only"):
        inputs.refuse_addresses(value)


def test_an_upload_passes() -> None:
    inputs.refuse_addresses([{"path": "/tmp/x", "meta": {"_type": "gradio.FileData"}}, 3, "text"])


def test_the_server_fetches_no_address_and_takes_no_large_body() -> None:
    async def answer(request: Any) -> PlainTextResponse:
        return PlainTextResponse("reached")

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    client = TestClient(middleware.Guard(Starlette(routes=routes), 1000))
    assert client.get("/gradio_api/file=/tmp/x").text == "reached"
    for path in ("file=http://10.0.0.1/", "file=HTTPS://example.org", "proxy=https://a.hf.space/"):
        assert client.get(f"/gradio_api/{path}").status_code == 403
    assert client.post("/gradio_api/upload", content=b"x" * 900).text == "reached"
    assert client.post("/gradio_api/upload", content=b"x" * 90_000).status_code == 413


def test_what_is_over_is_forgotten() -> None:
    def session(value: str, minutes_ago: float) -> tuple[Visit, datetime.datetime]:
        used = datetime.datetime.now() - datetime.timedelta(minutes=minutes_ago)
        visit = Visit(gr.Blocks(analytics_enabled=False), lambda *_: None)
        visit.state_data, visit.weights = {1: value, 2: "own"}, {1: 1000, 2: 10}
        return visit, used

    made = {"over": session("old", 1), "fresh": session("new", 1), "idle": session("new", 11)}
    made["closed"] = session("new", 11)
    made["closed"][0].is_closed = True
    holder = SimpleNamespace(
        session_data={key: held for key, (held, _) in made.items()},
        time_last_used={key: used for key, (_, used) in made.items()},
    )
    unread = dict.fromkeys(made, "an answer")
    unread["evicted"] = "an answer"
    queue = SimpleNamespace(
        pending_messages_per_session=unread,
        pending_event_ids_session={"idle": {1}},
        event_ids_to_events={},
    )
    demo = SimpleNamespace(state_holder=holder, _queue=queue)
    Forgetter(demo, 600, lambda value: None if value == "old" else value)()
    assert holder.session_data["over"].state_data == {1: None, 2: "own"}
    assert holder.session_data["over"].weights == {2: 10}
    assert holder.session_data["fresh"].state_data == {1: "new", 2: "own"}
    assert holder.session_data["idle"].state_data == {1: "new", 2: "own"}
    assert holder.session_data["closed"].state_data == {}
    assert holder.session_data["closed"].weights == {}
    assert sorted(unread) == ["fresh", "over"]
    assert not queue.pending_event_ids_session


# ----------------------------------------------------------------------------------- what is known


def test_figures_come_from_reports_about_this_checkpoint_alone(
    fake: FaceRetriever, tmp_path: Path
) -> None:
    def report(sha: str, score: float) -> dict[str, Any]:
        return {
            "protocol": "open-set", "images": 10, "people": 5, "queries": 8, "undetected": 0,
            "checkpoint": {"name": "x", "recipe": "demo", "sha256": sha},
            "results": [{"bits": 64, "rerank": False, "map": score, "map_ci95": [0.1, 0.9],
                         "rank1": 0.5, "precision_at_10": 0.4, "tar_at_far_1e-2": 0.3,
                         "tar_at_far_1e-3": 0.2}],
        }  # fmt: skip

    (tmp_path / "open-set.json").write_text(
        json.dumps(report(fake.encoder.fingerprint, 0.777) | {"data": "Some photos"})
    )
    (tmp_path / "peers.json").write_text(
        json.dumps({"rows": [{"representation": "floats", "bytes": 512, "map": 0.955}]})
    )
    (tmp_path / "old-open-set.json").write_text(json.dumps(report("0" * 64, 0.111)))
    (tmp_path / "old-slices.json").write_text(
        json.dumps({"damage": [{"kind": "blur", "value": 2, "map": 0.222}]})
    )
    (tmp_path / "slices.json").write_text(
        json.dumps({
            "bits": 64,
            "damage": [{"kind": "blur", "value": 2, "map": 0.333, "map_ci95": [0.3, 0.4]}],
            "groups": [{"attribute": "face_width", "low": 10, "high": 40, "map": 0.444}],
        })
    )  # fmt: skip
    (tmp_path / "attention.json").write_text(json.dumps({"deletion": 0.3, "insertion": 0.1}))
    (tmp_path / "unknown-people.json").write_text(
        json.dumps({"lengths": [{"bits": 64, "fpir": 0.0123, "fnir": 0.1}]})
    )
    table = "## mAP\n\n| method | 48 bits |\n|---|---|\n| ITQ | 0.512 |\n\n## Other\n"
    (tmp_path / "compare.md").write_text(table)
    (tmp_path / "bench.json").write_text("{")
    saved(tmp_path / "accuracy.png", photo())
    saved(tmp_path / "old-roc.png", photo())
    saved(tmp_path / "compare-map.png", photo())
    html = "".join(
        quality_html.section(section, str) for section in reports.sections([fake.encoder], tmp_path)
    )
    for shown in (
        "0.777 (0.100 to 0.900)",
        "floats",
        "0.955",
        "Some photos",
        "open-set.json",
        "blur 2",
        "0.333 (0.300 to 0.400)",
        "face width, 10 to 40",
        "0.012",
        "ITQ",
    ):
        assert shown in html, shown  # fmt: skip
    assert "0.111" not in html
    assert "0.222" not in html
    assert html.count("<figure") == 2
    assert html.count("Not measured yet for this checkpoint") == 1
    assert "the checkpoint&#x27;s calibration" in html


def test_without_any_report_every_question_says_so(fake: FaceRetriever, tmp_path: Path) -> None:
    fake.encoder.calibration = None
    found = reports.sections([fake.encoder], tmp_path / "nothing")
    assert all("Not measured yet" in quality_html.section(section, str) for section in found)
    assert ("Name", "fake") in reports.about_checkpoint(fake.encoder).rows


def test_the_shipped_landing_is_of_the_shipped_checkpoint(encoder: FaceEncoder) -> None:
    with np.load(start_example.FILE, allow_pickle=False) as held:
        made_by = str(held["fingerprint"])
    assert made_by == encoder.fingerprint, "run: python -m scripts.make_examples"
