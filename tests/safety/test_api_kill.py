"""A server that is killed while photos are enrolled by the API: what it said was added is there."""

from __future__ import annotations

import io
import signal
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from daah.gallery import Gallery, verify
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import photo
from tests.doubles.waiting import HANG
from tests.safety.process import Process

pytestmark = pytest.mark.slow

TOKEN = "a-secret-of-tests-0123456789"

#: Answers after which the server is killed.
ACKNOWLEDGED = 12


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    added: dict[str, str] = {}
    enough = threading.Event()
    colours = np.random.default_rng(5).integers(0, 230, (4, 3))

    def enrol(url: str, worker: int) -> None:
        """Enrol two photos a call, until the server is gone."""
        files = []
        for shift in range(2):
            buffer = io.BytesIO()
            colour = tuple(int(v) + shift for v in colours[worker])
            Image.fromarray(photo((colour, 300))).save(buffer, "PNG")
            files.append(("photos", (f"{shift}.png", buffer.getvalue())))
        with httpx.Client(timeout=HANG, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            for number in range(10_000):
                person = {"person": f"{worker}-{number}"}
                try:
                    answer = client.post(f"{url}api/v1/people", data=person, files=files)
                except httpx.HTTPError:
                    return
                assert answer.status_code == 201, answer.text
                added.update({p["id"]: person["person"] for p in answer.json()["added"]})
                if len(added) >= 2 * ACKNOWLEDGED:
                    enough.set()

    with Process(tmp_path / "server", folder, token=TOKEN) as process:
        process.visitor()
        workers = [threading.Thread(target=enrol, args=(process.url, i)) for i in range(4)]
        for worker in workers:
            worker.start()
        assert enough.wait(HANG)
        process.stop(signal.SIGKILL)
        for worker in workers:
            worker.join(HANG)
    assert TOKEN not in process.log.read_text()
    with Gallery.open(folder, fake_retriever.SquareEncoder()) as gallery:
        there = {str(entry.id): entry.person for entry in gallery.entries()}
        assert added.items() <= there.items()
        found = verify(gallery)
        assert (found.store, found.missing, found.orphans) == ("", (), ())
        # A call enrols both of its photos or none.
        assert set(gallery.people().values()) == {2}
