"""Who is let in, and what happens to who is late."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from daah.ui.rest.admission import Admission
from daah.ui.rest.errors import ApiError
from tests.doubles.waiting import HANG, eventually
from tests.safety.conftest import painted
from tests.ui.rest.conftest import Start
from tests.ui.rest.test_api import error, form

A, B, C = ("1.1.1.1", ""), ("2.2.2.2", ""), ("3.3.3.3", "")


def test_nobody_takes_more_than_half_of_the_calls() -> None:
    door = Admission(4, 100, lambda: 0)
    with door.admitted(A, 0), door.admitted(A, 0):
        with pytest.raises(ApiError) as refused, door.admitted(A, 0):
            pass
        assert refused.value.status == 429
        with door.admitted(B, 0), door.admitted(B, 0):
            with pytest.raises(ApiError) as refused, door.admitted(C, 0):
                pass
            assert refused.value.status == 503
            assert refused.value.headers == {"Retry-After": "5"}
    assert (door.calls, door.bytes) == (0, 0)
    with door.admitted(A, 0):
        assert door.calls == 1


def test_bodies_are_bounded_together() -> None:
    door = Admission(100, 100, lambda: 0)
    with door.admitted(A, 40):
        with pytest.raises(ApiError) as refused, door.admitted(A, 20):
            pass
        assert refused.value.status == 429
        with door.admitted(B, 50):
            assert door.bytes == 90
            with pytest.raises(ApiError) as refused, door.admitted(C, 20):
                pass
            assert refused.value.status == 503
    # One call may always come, so that a small limit does not close the door for good.
    with door.admitted(A, 1000):
        assert door.bytes == 1000
    assert door.bytes == 0


def test_events_of_the_page_that_wait_count() -> None:
    door = Admission(4, 100, lambda: 3)
    with door.admitted(A, 0):
        with pytest.raises(ApiError) as refused, door.admitted(B, 0):
            pass
        assert refused.value.status == 503


@pytest.mark.slow
def test_a_full_server_says_so_and_a_late_call_ends(start: Start) -> None:
    client = start(queue_size=2, api_seconds=1)
    entered, leave = threading.Event(), threading.Event()
    detector = client.detector
    find = detector.find

    def slow(rgb: object, min_face: float | None = None) -> object:
        entered.set()
        leave.wait(HANG)
        return find(rgb)

    detector.find = slow
    answers: list[httpx.Response] = []

    def ask(address: str) -> None:
        answers.append(
            client.post("/encode", files=form(painted("red")), headers={"X-Forwarded-For": address})
        )

    first = threading.Thread(target=ask, args=("1.1.1.1",))
    first.start()
    try:
        assert entered.wait(HANG)
        busy = client.get("/people", headers={"X-Forwarded-For": "1.1.1.1"})
        error(busy, 429, "half of the server's room")
        assert busy.headers["retry-after"] == "5"
        second = threading.Thread(target=ask, args=("2.2.2.2",))
        second.start()
        # The second waits for its turn until its second is over.
        second.join(HANG)
        error(answers[0], 503, "longer than it may", "busy")
        assert client.get("/people", headers={"X-Forwarded-For": "3.3.3.3"}).status_code == 200
    finally:
        detector.find = find
        leave.set()
        first.join(HANG)
    # Work that has begun is not given up, and nobody takes its turn meanwhile.
    assert len(answers) == 2
    assert client.post("/encode", files=form(painted("red"))).status_code == 200


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_not_waited_for(start: Start) -> None:
    client = start(api_seconds=1)
    parts = urlsplit(str(client.base_url))
    head = (
        "POST /api/v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=HANG) as connection:
        connection.sendall(head.encode())
        assert eventually(lambda: connection.recv(20)).startswith(b"HTTP/1.1 408 ")
