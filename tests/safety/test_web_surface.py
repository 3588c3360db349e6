"""What a stranger may send to the running app, over raw HTTP: refused with a word, or answered.

The fixture `quiet` adds to each: not a line in the log. Forged photos, served files and a full
queue are in `tests/ui/test_endpoint.py`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmarks.visitor import Visitor
from daah.paths import PATHS
from daah.ui.app import App
from daah.ui.server.figures import Figures
from daah.ui.server.inputs import NEVER
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.waiting import HANG

pytestmark = pytest.mark.slow

MARK = {"_type": "gradio.FileData"}


@pytest.fixture
def visitor(public: str) -> Visitor:
    return Visitor(public)


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing that a stranger sends may write into the log."""
    yield
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    assert "Error" not in printed.err
    assert printed.out == ""


# ------------------------------------------------------------------------------------ endpoints


@pytest.mark.parametrize(
    "path",
    [
        "call/_search", "call/v2/_search", "call/_add_own", "call/show", "run/_search",
        "run/search", "api/search", "api/_match", "call/", "call/nothing", "call/v2/nothing",
        "run/nothing",
    ],
)  # fmt: skip
def test_only_search_is_called_by_name(visitor: Visitor, path: str) -> None:
    assert visitor.post(f"/gradio_api/{path}", {"data": [None] * 8}).status == 404


def test_search_itself_is_called_in_both_ways(visitor: Visitor, red: bytes) -> None:
    photo = visitor.photo("a.png", red)
    assert "event: complete" in visitor.search(photo).text
    reply = visitor.post("/gradio_api/call/v2/search", {"photo": photo, "k": 3})
    event = json.loads(reply.body)["event_id"]
    text = visitor.request("GET", f"/gradio_api/call/v2/search/{event}").text
    assert '"red"' in text


@pytest.mark.parametrize(
    "path",
    [
        "deep_link?session_hash={session}", "process_recording", "vibe-code", "vibe-edit/",
        "undo-vibe-edit", "vibe-starter-queries", "dev/reload", "run-history/buckets",
        "profiling/traces", "openapi.json", "../openapi.json",
    ],
)  # fmt: skip
def test_routes_that_the_page_never_uses_are_closed(visitor: Visitor, path: str) -> None:
    visitor.send("count")
    filled = path.format(session=visitor.session)
    for method in ("GET", "POST"):
        assert visitor.request(method, f"/gradio_api/{filled}").status == 404
    assert not list(Path(os.environ["GRADIO_TEMP_DIR"]).rglob("state.json"))


def test_nobody_watches_other_visitors(visitor: Visitor) -> None:
    for path in ("/monitoring", "/monitoring/summary", "/monitoring/x"):
        assert visitor.request("GET", path).status == 403


def test_the_page_tells_no_path_of_the_host(visitor: Visitor) -> None:
    told = json.dumps(visitor.config) + visitor.request("GET", "/").text
    for folder in (Path(__file__).parents[2], Path.home(), os.environ["GRADIO_TEMP_DIR"]):
        assert str(folder) not in told.replace("/root_path", "")


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "NONSENSE"]
)
@pytest.mark.parametrize("path", ["queue/join", "upload", "call/search", "component_server"])
def test_other_methods_are_not_allowed(visitor: Visitor, method: str, path: str) -> None:
    assert visitor.request(method, f"/gradio_api/{path}").status in (405, 415)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/svelte/..%2f..%2f..%2fetc/passwd", "/gradio_api/file/etc/passwd",
        "/gradio_api/file=/proc/self/environ", "/gradio_api/file={folder}",
        "/gradio_api/file={folder}/../../etc/passwd", "/gradio_api/file={upload}/../../etc/passwd",
        "/gradio_api/file=FILE:///etc/passwd", "//gradio_api//file=http://127.0.0.1:1/x",
        "/gradio_api/custom_component/x/client/component/..%2f..%2fapp.py",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_what_is_served(visitor: Visitor, path: str, red: bytes) -> None:
    upload = visitor.photo("a.png", red)["path"]
    filled = path.format(folder=os.environ["GRADIO_TEMP_DIR"], upload=upload)
    reply = visitor.request("GET", filled)
    assert reply.status in (403, 404)
    assert b"root:" not in reply.body


# ----------------------------------------------------------------------------------------- figures


def figures(visitor: Visitor) -> tuple[str, list[str]]:
    """The tab of figures as the page gets it, and the addresses in it."""
    (outcome,) = visitor.turn("How good is it")
    html = outcome.values["quality"]
    return html, re.findall(r'src="([^"]+)"', html)


def test_figures_come_by_address_and_a_session_keeps_none(
    visitor: Visitor, running: list[App]
) -> None:
    html, addresses = figures(visitor)
    assert len(html) < 500_000
    assert len(addresses) >= 10
    for address in addresses:
        reply = visitor.request("GET", f"/{address}")
        name = re.fullmatch(r"figures/(.+)-[0-9a-f]{16}(\.png|\.svg)", address)
        assert reply.body == (PATHS.results / f"{name[1]}{name[2]}").read_bytes()
        assert reply.headers["content-type"].startswith("image/")
        assert "immutable" in reply.headers["cache-control"]
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    visitor.turn("Methods")
    (held,) = (
        app.state_holder.session_data[visitor.session]
        for app in running
        if visitor.session in app.state_holder.session_data
    )
    assert "figures/" not in str(vars(held))


@pytest.mark.parametrize(
    "name",
    [
        "accuracy.png", "soak.json", "open-set.json", "../../SECURITY.md", "..%2f..%2fSECURITY.md",
        "%2e%2e/%2e%2e/app.py", "reproduction", "", "accuracy-0000000000000000.png", "%00.png",
        "/etc/passwd", "x" * 5000,
    ],
)  # fmt: skip
def test_no_other_file_has_an_address(visitor: Visitor, name: str) -> None:
    figures(visitor)
    reply = visitor.request("GET", f"/figures/{name}")
    assert reply.status == 404
    assert reply.headers["content-type"].startswith(("text/plain", "application/json"))


def test_a_figure_that_is_written_again_has_another_address(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"first")
    (tmp_path / "two.svg").symlink_to("/etc/passwd")
    (tmp_path / "three.json").write_text("{}")
    known = Figures(tmp_path)
    client = TestClient(Starlette(routes=[known.route()]))
    first = known.address(tmp_path / "one.png")
    assert client.get(f"/{first}").content == b"first"
    assert len(known._known) == 1
    (tmp_path / "one.png").write_bytes(b"second!")
    assert known.address(tmp_path / "one.png") != first
    (tmp_path / "one.png").unlink()
    assert client.get(f"/{first}").status_code == 404


# ------------------------------------------------------------------------------------------ bodies


def test_a_body_is_measured_before_it_is_read(visitor: Visitor, red: bytes) -> None:
    large = b'{"data": ["' + b"a" * (1 << 20) + b'"]}'
    for path in ("queue/join", "run/predict", "call/search", "component_server"):
        reply = visitor.request(
            "POST", f"/gradio_api/{path}", large, Content_Type="application/json"
        )
        assert reply.status == 413
    assert visitor.upload("large.jpg", bytes(11 * 2**20)).status == 413
    assert visitor.upload("small.png", red).status == 200


def test_a_body_without_a_length_is_refused_unread(public: str, visitor: Visitor) -> None:
    head = (
        "POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\nff\r\n"
    )
    with socket.create_connection((visitor.host, visitor.port), timeout=HANG) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize("depth", [500, 900, 5_000, 100_000])
def test_nested_json_is_refused(visitor: Visitor, depth: int) -> None:
    index = visitor.event("count")["id"]
    for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = left * depth + b"1" + right * depth
        body = b'{"data":[%s],"fn_index":%d,"session_hash":"x"}' % (nested, index)
        reply = visitor.request(
            "POST", "/gradio_api/run/predict", body, Content_Type="application/json"
        )
        assert reply.status in (400, 413, 500)
        if reply.status == 500:
            assert json.loads(reply.body)["error"] == NEVER


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b"null", b'{"data":1}', b"\xff"])
def test_other_bodies_are_refused(visitor: Visitor, body: bytes) -> None:
    for path in ("queue/join", "run/predict", "call/search", "component_server"):
        reply = visitor.request(
            "POST", f"/gradio_api/{path}", body, Content_Type="application/json"
        )
        assert reply.status in (400, 404, 422, 500)


@pytest.mark.parametrize("index", [-1, 999, "x", None, 1e9])
def test_events_that_are_not_there(visitor: Visitor, index: Any) -> None:
    body = {"data": [], "fn_index": index, "session_hash": visitor.session}
    assert visitor.post("/gradio_api/queue/join", body).status in (400, 404, 422)


@pytest.mark.parametrize("name", ["predict", "predict/"])
def test_an_event_that_is_not_named_is_refused(visitor: Visitor, name: str) -> None:
    for body in ({"data": []}, {"data": [], "session_hash": visitor.session}, {"data": None}):
        reply = visitor.post(f"/gradio_api/run/{name}", body)
        assert reply.status in (400, 404, 422)
        assert reply.text


@pytest.mark.parametrize("length", [300, 5000, 50_000])
def test_names_that_no_file_can_have(visitor: Visitor, red: bytes, length: int) -> None:
    upload = visitor.photo("a.png", red)
    folder = str(Path(upload["path"]).parent)
    for path in ("x" * length, f"{folder}/{'x' * length}.png", "/x" * length, "\0" * 5):
        for photo in ({**upload, "path": path}, {"path": path, "meta": MARK}):
            outcome = visitor.send("photo", values={"photo": photo})
            assert outcome.error.endswith(".")
            assert "xxx" not in outcome.error
            assert '"error": null' not in visitor.search(photo).text
    assert visitor.upload("x" * length + ".png", red).status in (200, 400, 413)
    assert visitor.request("GET", "/gradio_api/file=" + "x" * length).status in (403, 404, 414)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../x.png", "x.png"),
        ("/etc/x.png", "x.png"),
        ("a/../../b.png", "b.png"),
        ("\0.png", None),
    ],
)
def test_an_upload_is_kept_in_its_folder_whatever_its_name(
    visitor: Visitor, name: str, kept: str | None
) -> None:
    (path,) = json.loads(visitor.upload(name, b"123").body)
    folder = Path(os.environ["GRADIO_TEMP_DIR"]).resolve()
    assert Path(path).resolve().parent.parent == folder
    assert kept in (None, Path(path).name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.html", b"<script>alert(1)</script>"), ("x.svg", b"<svg><script/></svg>"), ("x", b"<p>"),
        ("x.js", b"alert(1)"), ("x.xhtml", b"<html/>"), ("x.png", b"<script>alert(1)</script>"),
    ],
)  # fmt: skip
def test_an_upload_is_never_shown_as_a_page(visitor: Visitor, name: str, content: bytes) -> None:
    (path,) = json.loads(visitor.upload(name, content).body)
    reply = visitor.request("GET", f"/gradio_api/file={path}")
    assert reply.headers["x-content-type-options"] == "nosniff"
    picture = reply.headers["content-type"].startswith("image/png")
    assert picture or reply.headers["content-disposition"].startswith("attachment")


def test_an_upload_that_is_no_file(visitor: Visitor) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="files"%s\r\n\r\nx\r\n'
    kind = "multipart/form-data; boundary=b"
    for body, status in (
        (part % b"" + b"--b--", 400),
        (part % b'; filename="a"' * 1100 + b"--b--", 400),
        (b"x" * 100, 400),
        (b"", 200),
    ):
        path = "/gradio_api/upload?upload_id=" + "a" * 50
        assert visitor.request("POST", path, body, Content_Type=kind).status == status
    assert visitor.request("POST", "/gradio_api/upload", b"x", Content_Type="a/b").status == 400


@pytest.mark.parametrize(
    "path", ["queue/data?session_hash=nobody", "call/search/nobody", "call/v2/search/nobody"]
)
def test_a_stream_for_nobody_ends(visitor: Visitor, path: str) -> None:
    """As that of a page that outlived its server; it is told so."""
    reply = visitor.request("GET", f"/gradio_api/{path}")
    assert "404" in reply.text or "session_not_found" in reply.text


def test_names_that_are_folders_are_refused(visitor: Visitor) -> None:
    assert visitor.upload("..", b"123").status == 400


# ---------------------------------------------------------------------------------- forged values


@pytest.mark.parametrize(
    "photo",
    [
        "/etc/passwd", 7, [], ["/etc/passwd"], {"path": "/etc/passwd"}, {"path": 7, "meta": MARK},
        {"path": "/etc/passwd", "meta": MARK}, {"path": "../../etc/passwd", "meta": MARK},
        {"path": "{folder}/x.png", "meta": MARK}, {"path": "", "meta": MARK},
        {"url": "file:///etc/passwd", "meta": MARK}, {"url": "data:image/png;base64,AAAA"},
    ],
)  # fmt: skip
def test_a_photo_is_an_upload_and_nothing_else(visitor: Visitor, photo: Any) -> None:
    if isinstance(photo, dict) and "{folder}" in str(photo.get("path")):
        photo = {**photo, "path": photo["path"].format(folder=os.environ["GRADIO_TEMP_DIR"])}
    for element in ("photo", "photo-first"):
        outcome = visitor.send(element, values={"photo": photo, element: photo})
        assert outcome.error or "say good" not in str(outcome.values)
        assert outcome.error.endswith(".") or not outcome.error
        assert "/" not in outcome.error


def test_no_address_is_fetched(visitor: Visitor, red: bytes) -> None:
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        upload = visitor.photo("a.png", red)
        for photo in (
            {"url": url, "meta": MARK}, {"path": url, "meta": MARK}, {"url": url}, url,
            {**upload, "url": url}, {"path": url, "url": url, "meta": MARK},
        ):  # fmt: skip
            visitor.send("photo", values={"photo": photo})
            visitor.search(photo)
        visitor.request("GET", f"/gradio_api/file={url}")
        visitor.request("GET", f"/gradio_api/proxy={url}")
        # What answers a visitor has fetched what it wanted to: it would be waiting here.
        with contextlib.suppress(BlockingIOError):
            came.append(server.accept())
    assert came == []


@pytest.mark.parametrize("value", [10**9, -5, "x", None, {"a": 1}, [1], float("nan"), float("inf")])
def test_sliders_and_choices_give_what_they_offer(visitor: Visitor, value: Any) -> None:
    for element in ("count", "threshold", "strength", "bits", "attention"):
        assert visitor.send(element, values={element: value}).error.endswith(".")


def test_half_a_match_is_rounded(visitor: Visitor) -> None:
    assert visitor.send("count", values={"count": 4.4}).error == ""


@pytest.mark.parametrize(
    ("element", "trigger"),
    [
        ("boxes", "select"), ("chips", "select"), ("cells", "select"), ("paint", "select"),
        ("people", "select"), ("match", "select"), ("best", "select"), ("closer", "select"),
        ("cover", "select"), ("examples", "select"), ("gallery-people", "select"),
        ("map", "select"), ("entry", "select"), ("pairs", "select"), ("pair-bits", "select"),
        ("pair-faces", "select"), ("download", "select"),
        ("own-people", "select"), ("header", "select"),
    ],
)  # fmt: skip
def test_events_without_their_data_or_with_other_data(
    visitor: Visitor, element: str, trigger: str
) -> None:
    for data in (
        None, [], "x", {}, {"index": "x"}, {"index": "9" * 5000}, {"do": "face", "x": "a", "y": 0},
        {"do": "face", "x": float("nan"), "y": 0}, {"do": "map", "x": None, "y": 1}, {"id": -3},
        {"id": 10**40}, {"id": "1;--"}, {"mask": 7}, {"name": {"a": 1}}, {"name": "\0"},
    ):  # fmt: skip
        outcome = visitor.send(element, trigger, {"attention": "painted"}, data)
        assert outcome.error == "" or outcome.error.endswith(".")
        assert outcome.error != "None"


def test_random_events_after_a_search(visitor: Visitor, red: bytes) -> None:
    """Any event with any values that its inputs may have, and any data, in any order."""
    rng = random.Random(19)
    photo = visitor.photo("a.png", red)
    known = {c["id"]: (c["type"], c["props"]) for c in visitor.config["components"]}
    events = [d for d in visitor.config["dependencies"] if d["targets"] and d["targets"][0][0]]
    events = [d for d in events if d["queue"] is False]

    def value(id_: int) -> Any:
        kind, props = known[id_]
        if kind in ("radio", "dropdown"):
            return rng.choice([choice[1] for choice in props["choices"]])
        if kind == "slider":
            return rng.choice([props["value"], props["minimum"], props["maximum"]])
        return {"image": photo, "textbox": "red", "state": None}.get(kind, props.get("value"))

    def data() -> dict[str, Any]:
        does = ["face", "map", "search", "code", "remove", "open", "bit", "match", "undo"]
        values = [0, 1, 127, -1, 0.5, "1", "x", None, [], 2**63]
        drawn = {key: rng.choice(values) for key in ("index", "id", "x", "y", "mask", "name")}
        return {"do": rng.choice(does), **drawn}

    for number in range(150):
        if number % 30 == 0:
            visitor.send("photo", values={"photo": photo})
        event = rng.choice(events)
        body = {
            "data": [value(id_) for id_ in event["inputs"]],
            "event_data": data(),
            "fn_index": event["id"],
            "trigger_id": event["targets"][0][0],
            "session_hash": visitor.session,
        }
        reply = visitor.post("/gradio_api/run/predict", body)
        assert reply.status in (200, 500)
        assert reply.status == 200 or json.loads(reply.body)["error"].endswith(".")


def test_text_boxes_without_text(visitor: Visitor) -> None:
    for text in (None, 7, {"a": 1}, "x" * 100_000):
        assert visitor.send("name", "change", {"name": text}).error == ""
        added = visitor.send("own-add", "click", {"own-name": text, "own-photo": None})
        assert "Add a photo" in added.values["own-done"]


def test_only_frames_reach_the_server_function(visitor: Visitor) -> None:
    live = next(
        c["id"] for c in visitor.config["components"] if c["props"].get("elem_id") == "live"
    )

    def call(**more: Any) -> tuple[int, Any]:
        body = {"data": "x", "fn_name": "frame", "component_id": live, "session_hash": "x"}
        reply = visitor.post("/gradio_api/component_server", body | more)
        return reply.status, reply.text

    status, text = call()
    assert (status, set(json.loads(text))) == (200, {"error"})
    for other in ("__init__", "preprocess", "postprocess", "unrender", "get_config"):
        assert call(fn_name=other)[0] == 404
    for component in visitor.config["components"]:
        if component["id"] != live:
            assert call(component_id=component["id"])[0] == 404
    assert call(component_id=10**6)[0] == 404
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n1\r\n--x--\r\n'
    reply = visitor.request(
        "POST",
        "/gradio_api/component_server",
        form,
        Content_Type="multipart/form-data; boundary=x",
    )
    assert reply.status == 415


@pytest.mark.parametrize("most", [1, 3])
def test_additions_are_as_many_as_is_set(serve: Callable[..., str], red: bytes, most: int) -> None:
    visitor = Visitor(serve(max_additions=most))
    own = {"own-name": "Zoe", "own-photo": visitor.photo("a.png", red)}
    for number in range(most):
        told = visitor.send("own-add", "click", {**own, "own-name": f"Zoe {number}"})
        assert "is added" in told.values["own-done"]
    told = visitor.send("own-add", "click", own).values["own-done"]
    assert f"At most {most} face" in told
    visitor.send("own-people", "select", event_data={"name": "Zoe 0"})
    assert "is added" in visitor.send("own-add", "click", own).values["own-done"]


def test_live_knows_whom_its_own_visitor_added_and_nobody_elses(public: str) -> None:
    mine, other = Visitor(public), Visitor(public)
    buffer = io.BytesIO()
    Image.fromarray(fake_retriever.photo(((210, 200, 10), 300))).save(buffer, "PNG")
    upload = mine.photo("a.png", buffer.getvalue())
    added = mine.send("own-add", "click", {"own-name": "Zoe", "own-photo": upload})
    assert "is added" in added.values["own-done"]
    live = next(c["id"] for c in mine.config["components"] if c["props"].get("elem_id") == "live")
    frame = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

    def seen(visitor: Visitor) -> str:
        body = {"data": frame, "fn_name": "frame", "component_id": live}
        body["session_hash"] = visitor.session
        reply = visitor.post("/gradio_api/component_server", body)
        (face,) = json.loads(reply.body)["faces"]
        return face["label"]

    for _ in range(2):
        assert "Zoe" in seen(mine)
        assert "Zoe" not in seen(other)
        assert "Zoe" not in seen(Visitor(public))
    mine.send("own-people", "select", event_data={"name": "Zoe"})
    assert "Zoe" not in seen(mine)


# ---------------------------------------------------------------------------- origins and sessions


def test_a_page_without_an_origin_gets_nothing(visitor: Visitor) -> None:
    for host in (f"{visitor.host}:{visitor.port}", "faces.example.org"):
        for method, path in (("GET", "/config"), ("POST", "/gradio_api/queue/join")):
            assert visitor.request(method, path, Origin="null", Host=host).status == 403


@pytest.mark.parametrize(
    "path", ["queue/join", "run/predict", "call/search", "upload", "component_server", "cancel"]
)
def test_a_page_of_another_site_starts_nothing(visitor: Visitor, path: str) -> None:
    own = f"{visitor.host}:{visitor.port}"
    sent = {"data": [], "fn_index": 0, "session_hash": "x"}
    for headers in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "x"},
        {"Origin": f"http://{visitor.host}:1"}, {"Origin": "http://["},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-site"},
        {"Origin": f"http://{own}.evil.example"}, {"Origin": f"http://evil.example/{own}"},
    ):  # fmt: skip
        assert visitor.post(f"/gradio_api/{path}", sent, **headers).status == 403, headers
        # The browser's question before it would send another site's headers along.
        asked = {**headers, "Access_Control_Request_Method": "POST"}
        assert visitor.request("OPTIONS", f"/gradio_api/{path}", **asked).status == 403


def test_the_page_itself_and_programs_are_answered(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_HOST", "owner-name.hf.space")
    sent = {"data": [], "fn_index": visitor.event("header", "select")["id"], "session_hash": "x"}
    own = f"{visitor.host}:{visitor.port}"
    for headers in (
        {},  # a program
        {"Origin": f"http://{own}"},
        # Behind a proxy that keeps the host, one that says it elsewhere, and one that does neither.
        {"Origin": "https://faces.example", "Host": "faces.example"},
        {"Origin": "https://faces.example", "X_Forwarded_Host": "faces.example"},
        {"Origin": "https://faces.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://owner-name.hf.space"},
    ):
        assert visitor.post("/gradio_api/run/predict", sent, **headers).status == 200, headers


def test_a_local_page_answers_to_itself_alone(serve: Callable[..., str]) -> None:
    """It may change the gallery: neither another site nor a name that leads here may use it."""
    visitor = Visitor(serve(public=False))
    own = f"{visitor.host}:{visitor.port}"
    for headers, status in (
        ({"Host": own, "Origin": f"http://{own}"}, 200),
        ({"Host": f"localhost:{visitor.port}", "Origin": f"http://localhost:{visitor.port}"}, 200),
        ({"Host": own}, 200),
        ({"Host": own, "Origin": "https://evil.example"}, 403),
        ({"Host": own, "Origin": f"http://{visitor.host}:1"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": own, "Origin": "null"}, 403),
    ):
        assert visitor.request("GET", "/config", **headers).status == status, headers


def test_a_public_page_has_nothing_to_write_with(visitor: Visitor) -> None:
    names = {c["props"].get("elem_id") for c in visitor.config["components"]}
    assert not names & {"manage", "add", "remove", "import", "choose", "files", "folder", "uri"}


def test_sessions_are_as_many_as_is_set(serve: Callable[..., str], running: list[App]) -> None:
    visitor = Visitor(serve(max_sessions=5))
    for number in range(40):
        visitor.session = f"visitor{number}"
        assert visitor.send("count").error == ""
    held = running[-1].state_holder.session_data
    assert sorted(held) == [f"visitor{number}" for number in range(35, 40)]


def test_controls_in_another_order_than_the_page_has_them(visitor: Visitor, red: bytes) -> None:
    """A slider is moved while a change of attention still waits for its turn."""
    visitor.send("photo", values={"photo": visitor.photo("a.png", red)})
    chosen = visitor.send("cells", "select", event_data={"index": 3})
    assert chosen.values["cells"]
    for attention in ("off", "painted", "on", "off"):
        for element in ("strength", "count", "threshold", "bits"):
            outcome = visitor.send(element, values={"attention": attention})
            assert outcome.error == ""
            assert {"cells", "people"} & set(outcome.values)
        outcome = visitor.send("cells", "select", {"attention": attention}, {"index": 5})
        assert outcome.error == ""


def test_a_session_does_not_grow_with_what_is_asked_of_it(
    public: str, running: list[App], red: bytes
) -> None:
    visitor = Visitor(public)
    photo = visitor.photo("a.png", red)
    sizes = []
    for _ in range(4):
        for element in ("photo", "count", "strength", "threshold"):
            assert visitor.send(element, values={"photo": photo}).error == ""
        (held,) = (
            app.state_holder.session_data[visitor.session]
            for app in running
            if visitor.session in app.state_holder.session_data
        )
        sizes.append((len(held.blocks_config.blocks), len(held.config_values), held.weights))
    assert all(size == sizes[0] for size in sizes)
    assert sizes[0][1] == 0
    assert sum(sizes[0][2].values()) < 2**20


def test_the_endpoint_pushes_nobodys_session_out(
    serve: Callable[..., str], running: list[App], red: bytes
) -> None:
    visitor, program = Visitor(url := serve(max_sessions=3)), Visitor(url)
    visitor.send("photo", values={"photo": visitor.photo("a.png", red)})
    for _ in range(6):
        assert "event: complete" in program.search(program.photo("a.png", red)).text
    assert list(running[-1].state_holder.session_data) == [visitor.session]
    assert list(running[-1].state_holder.time_last_used) == [visitor.session]
    assert "red" in visitor.send("count").values["people"]


def test_uploads_end_before_the_disk_does(
    serve: Callable[..., str], red: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    visitor = Visitor(serve(max_stored_mb=1))
    replies = [visitor.upload(f"{i}.jpg", os.urandom(400_000)) for i in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 503, 503]
    assert "Try again" in replies[-1].text


def test_the_defaults_are_those_of_a_public_host() -> None:
    assert Settings().public
    assert Settings.from_environment({}).public
