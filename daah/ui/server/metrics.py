"""Figures of the running server in Prometheus' text format: counts and times, never values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Times at which counters began double the text, and few programs read them.
disable_created_metrics()

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60)


class Metrics:
    """What one server counts. Each has a registry of its own, so that tests may start several."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "daah_api_requests",
            "Requests to the API by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "daah_api_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.events = Counter(
            "daah_page_events",
            "Events of the page that ran, by kind and outcome.",
            ("kind", "outcome"),
            registry=self._registry,
        )
        self.event_seconds = Histogram(
            "daah_page_event_seconds",
            "Seconds that events of the page ran, without waiting for their turn.",
            ("kind",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def watch(self, read: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        """Report numbers that are read when they are asked for.

        Args:
            read: gives (name, description, number) of each.
        """
        self._registry.register(_Read(read))

    def route(self) -> Route:
        """What answers at /metrics."""
        return Route("/metrics", self._answer, methods=["GET"])

    async def _answer(self, _: Request) -> Response:
        text = await run_in_threadpool(generate_latest, self._registry)
        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return Response(text, headers=headers)


class _Read(Collector):
    """Numbers that are read when they are asked for."""

    def __init__(self, read: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing: without it the numbers would be read once to learn their names."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The numbers as they are now."""
        for name, text, number in self._read():
            yield GaugeMetricFamily(name, text, value=number)
