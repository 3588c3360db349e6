"""Health and figures of the server, as whatever watches it asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from daah.errors import CheckpointError, GalleryError
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.settings import Settings
from tests.doubles.waiting import HANG

pytestmark = pytest.mark.slow


def test_health_follows_the_gallery(
    fake: FaceRetriever, host: Callable[[App], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = host(build_app(fake, Settings(), {}))
    told = httpx.get(f"{url}health", timeout=HANG)
    assert (told.status_code, told.json()) == (200, {"status": "ok"})
    with monkeypatch.context() as patch:

        def gone() -> int:
            raise GalleryError("The gallery fake cannot be reached.")

        patch.setattr(fake.gallery.store, "count_people", gone)
        told = httpx.get(f"{url}health", timeout=HANG)
        assert told.status_code == 503
        assert told.json()["error"]["message"] == "The gallery fake cannot be reached."
        numbers = httpx.get(f"{url}metrics", timeout=HANG)
        assert numbers.status_code == 200
    assert httpx.get(f"{url}health", timeout=HANG).status_code == 200


def test_health_of_a_page_that_misses_something(host: Callable[[App], str], tmp_path: Path) -> None:
    problem = CheckpointError(f"The model {tmp_path}/demo.onnx is missing.")
    url = host(build_notice(problem, Settings()))
    told = httpx.get(f"{url}health", timeout=HANG)
    assert told.status_code == 503
    assert told.json()["error"] == {
        "code": "unavailable", "message": "The model demo.onnx is missing.",
    }  # fmt: skip
    assert httpx.get(f"{url}metrics", timeout=HANG).status_code == 200


def test_figures_count_calls_and_name_nothing_that_came(
    fake: FaceRetriever, host: Callable[[App], str]
) -> None:
    url = host(build_app(fake, Settings(), {}))
    for path in ("people/secret-name", "secret", "photos/123", "people"):
        httpx.get(f"{url}api/v1/{path}", timeout=HANG)
    httpx.request("SECRET", f"{url}api/v1/people", timeout=HANG)
    answer = httpx.get(f"{url}metrics", timeout=HANG)
    assert answer.headers["content-type"].startswith("text/plain")
    assert "secret" not in answer.text.lower()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["daah_api_requests_total", "/api/v1/people", "200", "GET"] == 1
    assert found["daah_api_requests_total", "/api/v1/people/{person}", "404", "GET"] == 1
    assert found["daah_api_requests_total", "404", "GET", "other"] == 1
    assert found["daah_gallery_photos",] == 6
    assert found["daah_gallery_people",] == 3
    assert found["daah_api_calls_in_progress",] == 0
    assert found["process_resident_memory_bytes",] > 0
