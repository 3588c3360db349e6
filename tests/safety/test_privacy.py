"""No photo, face or code is left on disk, in the log, or in a session after its time."""

from __future__ import annotations

import base64
import datetime
import io
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks.visitor import Visitor
from daah.gallery import SessionGallery
from daah.ui.app import App
from daah.ui.server import uploads
from daah.ui.server.retention import Forgetter
from daah.ui.state.session import Expires
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import Clock, eventually
from tests.safety.process import Process
from tests.ui.serving import age

#: As on a public host, but for looking more often: how long things are kept is the clock's affair.
KEEP, SWEEP = 600, 1
NAME = "unmistakable-7c1f"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "painted"
    fake_retriever.retriever(folder).gallery.close()
    return folder


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, gallery: Path) -> Iterator[Process]:
    root = tmp_path_factory.mktemp("server")
    settings = {"keep_seconds": KEEP, "sweep_seconds": SWEEP, "max_sessions": 100}
    with Process(root, gallery, **settings) as started:
        yield started


def planted(seed: int) -> tuple[bytes, bytes]:
    """A photo nobody else has, with a face, and a part of the file that is nowhere else."""
    rgb = photo((PEOPLE["red"], 299))
    rgb[350:, :] = np.random.default_rng(seed).integers(0, 250, (50, 400, 3))
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    data = buffer.getvalue()
    return data, data[-900:-800]


def gone(process: Process, *traces: bytes) -> bool:
    """Whether no file has a trace any more once the stated time is over."""
    process.later(KEEP - 2 * SWEEP)
    return eventually(lambda: not process.holding(*traces)) is True


def test_a_photo_and_what_was_made_of_it_are_gone_on_time(process: Process) -> None:
    visitor = process.visitor()
    data, trace = planted(1)
    upload = visitor.photo(f"{NAME}.png", data)
    found = visitor.search(upload).text
    code = re.search(r'"code": "([0-9a-f]{32})"', found)[1]
    assert visitor.send("photo", values={"photo": upload}).values["people"]
    assert visitor.send(
        "photo-first", values={"photo-first": upload, "photo-second": upload}
    ).values
    added = visitor.send("own-add", "click", {"own-name": NAME, "own-photo": upload}).values[
        "own-done"
    ]
    assert "is added" in added
    own = re.search(
        r'data-id="(-\d+)"', visitor.send("name", "change", {"name": NAME}).values["gallery-people"]
    )
    visitor.send("entry", "select", event_data={"do": "search", "id": own[1]})
    traces = (
        trace,
        NAME.encode(),
        code.encode(),
        bytes.fromhex(code),
        base64.b64encode(trace)[4:-4],
    )
    assert len(process.holding(*traces)) >= 1  # the search finds it while it is there
    assert gone(process, *traces), process.holding(*traces)
    uploaded = process.root / "tmp" / f"daah-uploads-{os.getuid()}"
    # Folders are named by a hash of the photo, so they must go as well.
    assert eventually(lambda: process.later(60) or not list(uploaded.glob("[0-9a-f]*")))


def test_an_upload_that_is_never_used_or_breaks_off_is_gone_too(process: Process) -> None:
    visitor = process.visitor()
    unused, first = planted(2)
    visitor.photo("unused.png", unused)
    broken, second = planted(3)
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        'Content-Disposition: form-data; name="files"; filename="broken.png"\r\n\r\n'
    )
    with socket.create_connection((visitor.host, visitor.port)) as connection:
        connection.sendall(head.encode() + broken * 3)
        assert eventually(lambda: len(process.holding(first, second)) >= 2)
    assert gone(process, first, second), process.holding(first, second)


def test_a_frame_of_live_never_reaches_the_disk(process: Process) -> None:
    visitor = process.visitor()
    data, trace = planted(4)
    frame = "data:image/png;base64," + base64.b64encode(data).decode()
    live = next(
        c["id"] for c in visitor.config["components"] if c["props"].get("elem_id") == "live"
    )
    body = {"data": frame, "fn_name": "frame", "component_id": live, "session_hash": "x"}
    reply = visitor.post("/gradio_api/component_server", body)
    assert json.loads(reply.body)["faces"]
    assert process.holding(trace, base64.b64encode(data)[400:500]) == []


def test_the_log_tells_nothing_of_visitors(process: Process) -> None:
    """After all that the tests above did, and a photo that cannot be read."""
    visitor = process.visitor()
    upload = visitor.photo(f"{NAME}.png", b"this is no photo")
    assert visitor.send("photo", values={"photo": upload}).error
    log = process.log.read_text()
    lines = [line for line in log.splitlines() if line.strip()]
    assert all(
        line.startswith(("* Running on local URL", "* To create a public")) for line in lines
    )
    assert NAME not in log


@pytest.mark.slow
def test_a_thousand_sessions_leave_memory_flat(process: Process) -> None:
    """Of visitors who come, ask something, and leave in the middle of something else."""
    visitor = process.visitor()
    server = psutil.Process(process.popen.pid)

    def come(number: int) -> None:
        visitor.session = f"visitor{number}"
        assert visitor.send("header", "select", event_data={}).error == ""
        for path in (
            f"heartbeat/{visitor.session}",
            f"queue/data?session_hash={visitor.session}",
            f"upload_progress?upload_id={visitor.session}",
        ):
            with socket.create_connection((visitor.host, visitor.port)) as left:
                left.sendall(f"GET /gradio_api/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def megabytes() -> float:
        process.later(KEEP)
        return server.memory_info().rss / 2**20

    for number in range(300):
        come(number)
    before, files = megabytes(), server.num_fds()
    for number in range(300, 1200):
        come(number)
    assert eventually(lambda: megabytes() - before < 15), megabytes() - before
    assert eventually(lambda: server.num_fds() < files + 60), server.num_fds()


@pytest.mark.slow
def test_a_kill_is_made_up_for_at_the_next_start_and_a_stop_deletes(
    tmp_path: Path, gallery: Path
) -> None:
    (old, first), (new, second) = planted(5), planted(6)
    with Process(tmp_path, gallery) as killed:
        killed.visitor().photo("a.png", old)
        killed.stop(signal.SIGKILL)
        assert killed.holding(first)
    with Process(tmp_path, gallery, keep_seconds=KEEP, sweep_seconds=SWEEP) as again:
        visitor = again.visitor()
        assert gone(again, first)
        visitor.photo("b.png", new)
        assert again.holding(second)
        assert again.stop(signal.SIGTERM) == 0
        assert again.holding(second) == []


def test_only_uploads_are_swept(tmp_path: Path) -> None:
    """An operator may have named a folder that holds other things."""
    kept = [tmp_path / "letter.txt", tmp_path / "holidays" / "beach.jpg", tmp_path / "tmp.txt"]
    swept = [tmp_path / ("ab" * 32) / "photo.png", tmp_path / "tmpab12_xyz"]
    outside = tmp_path.parent / "outside.txt"
    for path in [*kept, *swept, outside]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / ("cd" * 32)).symlink_to(tmp_path.parent)
    assert uploads.stored_bytes(tmp_path) == 10
    uploads.Sweeper(tmp_path, 60)()
    assert all(path.exists() for path in swept)
    uploads.Sweeper(tmp_path, -1)()
    assert not any(path.exists() for path in swept)
    assert not swept[0].parent.exists()
    assert all(path.exists() for path in [*kept, outside])


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_uploads_go_on_time_though_the_clock_jumps(tmp_path: Path, jump: int) -> None:
    """Neither days later, nor in the middle of being looked at."""
    steady, ahead = Clock(), 0
    # Files are dated by the system; that this test takes a while must not make them older.
    made = tmp_path.stat().st_ctime
    sweep = uploads.Sweeper(tmp_path, 500, clock=steady, wall=lambda: made + ahead)
    old, young = tmp_path / "tmpab12_xyz", tmp_path / "tmpab12_new"
    gone = {}
    for second in range(0, 1200, 30):
        sweep()
        if second == 90:
            old.write_bytes(b"a photo")
        elif second == 300:
            ahead = jump
            young.write_bytes(b"a photo")
        for path in (old, young):
            if second > 300 and path not in gone and not path.exists():
                gone[path] = second
        steady.sleep(30)
        ahead += 30
    assert gone[old] in (600, 630)
    assert gone[young] in (810, 840)


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_sessions_go_on_time_though_the_clock_jumps(jump: int) -> None:
    steady = Clock()
    used = datetime.datetime.now() + datetime.timedelta(seconds=jump)
    session = SimpleNamespace(state_data={}, is_closed=False)
    answers = {"one": "an answer"}
    demo = SimpleNamespace(
        state_holder=SimpleNamespace(session_data={}, time_last_used={}),
        _queue=SimpleNamespace(
            pending_messages_per_session={}, pending_event_ids_session={}, event_ids_to_events={}
        ),
    )
    forget = Forgetter(demo, 500, lambda value: value, steady)
    forget()
    demo.state_holder.session_data["one"], demo.state_holder.time_last_used["one"] = session, used
    demo._queue.pending_messages_per_session = answers
    steady.sleep(30)
    forget()
    steady.sleep(450)
    forget()
    assert answers
    steady.sleep(60)
    forget()
    assert not answers


def test_the_upload_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    uploads.claim_folder()
    first = Path(os.environ["GRADIO_TEMP_DIR"])
    assert first.stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    uploads.claim_folder()
    assert Path(os.environ["GRADIO_TEMP_DIR"]) == first
    first.chmod(0o755)  # as one that somebody else made
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    uploads.claim_folder()
    second = Path(os.environ["GRADIO_TEMP_DIR"])
    assert second != first
    assert second.stat().st_mode & 0o777 == 0o700
    uploads.claim_folder()  # what the operator chose stays
    assert Path(os.environ["GRADIO_TEMP_DIR"]) == second


def test_additions_are_one_visitors_and_die_with_the_session(
    serve: Callable[..., str], running: list[App], red: bytes
) -> None:
    url = serve(keep_seconds=KEEP, sweep_seconds=SWEEP)
    mine, other = Visitor(url), Visitor(url)
    upload = mine.photo("me.png", red)
    mine.send("own-add", "click", {"own-name": "Zoe", "own-photo": upload})
    mine.send("photo", values={"photo": upload})
    assert "Zoe" in mine.send("name", "change", {"name": "zoe"}).values["gallery-people"]
    assert "Nobody named" in other.send("name", "change", {"name": "zoe"}).values["gallery-people"]
    demo = running[-1]
    held = demo.state_holder.session_data[mine.session]
    with socket.create_connection((mine.host, mine.port)) as page:
        page.sendall(
            f"GET /gradio_api/heartbeat/{mine.session} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert page.recv(20)
        assert not held.is_closed
        # The photo goes on time, page open or not; what was added stays.
        assert age(demo, KEEP) > 0
        assert eventually(lambda: not any(isinstance(v, Expires) for v in held.state_data.values()))
        assert "Zoe" in mine.send("name", "change", {"name": "zoe"}).values["gallery-people"]
    assert eventually(lambda: held.is_closed)
    clock = Clock()
    forget = Forgetter(demo, KEEP, demo._kept, clock)
    forget()
    clock.sleep(KEEP + 1)
    forget()
    assert not held.state_data
    assert not list(held.components)  # nothing of the page is kept either


def test_additions_end_on_time_though_the_clock_is_set_back(
    serve: Callable[..., str], running: list[App], red: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(serve(additions_minutes=60))
    own = {"own-name": "Zoe", "own-photo": visitor.photo("me.png", red)}
    visitor.send("own-add", "click", own)
    demo = running[-1]
    forget = Forgetter(demo, 500, demo._kept)
    (held,) = (v for v in demo.state_holder.session_data[visitor.session].state_data.values()
               if isinstance(v, SessionGallery))  # fmt: skip
    forget()
    assert "Zoe" in visitor.send("name", "change", {"name": "zoe"}).values["gallery-people"]
    object.__setattr__(held, "born", held.born - 3601)
    forget()
    found = visitor.send("name", "change", {"name": "zoe"}).values["gallery-people"]
    assert "Nobody named" in found


def test_an_answer_that_nobody_fetches_is_forgotten(
    serve: Callable[..., str], running: list[App], red: bytes
) -> None:
    visitor = Visitor(serve())
    demo, clock = running[-1], Clock()
    forget = Forgetter(demo, KEEP, demo._kept, clock)
    forget()  # what is there at its first look counts as old
    body = {"data": [visitor.photo("a.png", red), 8, 128]}
    assert visitor.post("/gradio_api/call/search", body).status == 200
    waiting, asked = (
        demo._queue.pending_messages_per_session,
        demo._queue.event_ids_to_events,
    )
    assert len(waiting) == 1
    assert eventually(lambda: not asked)  # the answer is there
    forget()
    clock.sleep(KEEP)
    forget()
    assert len(waiting) == 1
    clock.sleep(1)
    forget()
    assert not waiting
