"""The whole page. `build_app` joins the tabs; `build_notice` replaces it when there is no model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from daah import codes
from daah.errors import DaahError, GalleryError
from daah.gallery import SessionGallery
from daah.reading import READER, SMALL_READER
from daah.retrieval.loading import Awaited
from daah.retrieval.retriever import FaceRetriever
from daah.ui import mcp
from daah.ui.about.tab import AboutTab
from daah.ui.compare.tab import CompareTab
from daah.ui.endpoint import ENDPOINTS, PHOTO_READERS, add_endpoints
from daah.ui.gallery.tab import GalleryTab
from daah.ui.live.tab import LiveTab
from daah.ui.methods.tab import MethodsTab
from daah.ui.ondevice import panels
from daah.ui.ondevice.files import DeviceFiles
from daah.ui.ondevice.routes import DeviceRoutes
from daah.ui.page import visit
from daah.ui.page.components import html_panel, static
from daah.ui.page.events import REDRAWS
from daah.ui.page.theme import TITLE, theme
from daah.ui.quality.tab import QualityTab
from daah.ui.rest import api as rest
from daah.ui.rest.admission import Admission
from daah.ui.rest.service import Service
from daah.ui.search.start_example import load_start_example
from daah.ui.search.tab import SearchTab
from daah.ui.server import health, preview
from daah.ui.server.failures import FAILED, note
from daah.ui.server.figures import Figures
from daah.ui.server.inputs import NEVER, as_offered, refuse_addresses
from daah.ui.server.metrics import Metrics
from daah.ui.server.middleware import Gate, RequestGuard, full, unknown
from daah.ui.server.policy import ContentPolicy
from daah.ui.server.retention import retention_lifespan
from daah.ui.server.turns import Turns
from daah.ui.server.user_error import UserError
from daah.ui.server.visits import Visit, Visits
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext, shipped_others
from daah.ui.state.session import Expires

#: Photos of the largest size that fit into one call of the API.
_API_PHOTOS = 4
#: Said on tabs that have no engine in the browser, while photos stay on the device.
ON_SERVER = "Photos stay on this device. To give one here, turn off the switch on top of the page."

PAPER = "https://doi.org/10.1007/978-3-030-29908-8_20"


class App(gr.Blocks):
    """Blocks that launch with this project's settings, whoever calls `launch`.

    Args:
        settings: the operator's settings.
        figures: pictures that are served by address, besides the page; None for none.
        problem: says in a sentence why the app cannot search; "" when it can.
        routes: further routes besides the page.
    """

    def __init__(
        self,
        settings: Settings,
        figures: Figures | None = None,
        problem: Callable[[], str] = lambda: "",
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._routes: list[BaseRoute] = [
            health.route(problem),
            self.metrics.route(),
            *preview.routes(),
            *([figures.route()] if figures else []),
            *routes,
        ]
        self._running: list[Callable[[], contextlib.AbstractAsyncContextManager[None]]] = []
        self._turns = {kind: asyncio.Semaphore(1) for kind in ("model", "methods")}
        super().__init__(
            title=TITLE,
            analytics_enabled=False,  # nothing is sent anywhere at run time
            fill_width=False,
            # Gradio deletes uploads when it ends. Before, it would go by the wall clock, which may
            # jump: that is done by `retention_lifespan`.
            delete_cache=(86_400, 86_400),
        )

    def queue(self, *args: Any, **more: Any) -> App:
        """See `gr.Blocks.queue`. The queue has a share for each session and each client."""
        super().queue(*args, **more)
        made, settings = self._queue, self.settings
        self._queue = Turns(
            max_waiting=settings.max_waiting,
            max_unread=settings.max_unread_mb * 2**20,
            live_updates=made.live_updates,
            concurrency_count=made.max_thread_count,
            update_intervals=made.update_intervals,
            max_size=made.max_size,
            blocks=self,
            default_concurrency_limit=made.default_concurrency_limit,
        )
        return self

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """See `gr.Blocks.validate_inputs`. Photos given by address are refused first."""
        refuse_addresses(inputs)
        super().validate_inputs(block_fn, inputs)

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **more: Any
    ) -> list[Any]:
        """See `gr.Blocks.preprocess_data`. Invalid inputs are refused without a traceback.

        Gradio's messages about them would put a visitor's values and paths into the log.

        Raises:
            ImageError: the photo of an endpoint cannot be decoded.
            UserError: an input is of a kind that no page sends.
        """
        try:
            values = await super().preprocess_data(block_fn, inputs, *args, **more)
        except UserError:
            raise
        except gr.Error as problem:
            said = str(problem.message)
            # Gradio's words for a choice that is not offered name Python types.
            raise UserError(NEVER if "list of choices" in said else said) from None
        except (TypeError, ValueError, LookupError, AttributeError, RecursionError, OSError):
            raise UserError(NEVER) from None
        if read := PHOTO_READERS.get(block_fn.api_name):
            values[0] = await anyio.to_thread.run_sync(read, values[0], limiter=self.limiter)
        return as_offered(block_fn.inputs, values)

    async def call_function(self, block_fn: Any, *args: Any, **more: Any) -> dict[str, Any]:
        """See `gr.Blocks.call_function`. Events of one kind run one at a time.

        Photos were decoded before (`preprocess_data`), so a slow one delays nobody else.
        """
        kind = block_fn.concurrency_id if block_fn.concurrency_id in self._turns else "other"
        async with self._turns.get(kind, contextlib.nullcontext()):
            with self._counted(kind):
                return await super().call_function(block_fn, *args, **more)

    @contextlib.contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        """Count an event of the page, and the seconds that it takes."""
        outcome = "failed"
        try:
            with self.metrics.event_seconds.labels(kind).time():
                yield
            outcome = "ok"
        finally:
            self.metrics.events.labels(kind, outcome).inc()

    def add_api(self, context: AppContext) -> None:
        """Serve the API for other programs besides the page; its calls and events take turns.

        Args:
            context: the page's shared state.

        Raises:
            MissingPackageError: tools for assistants are asked for, and `mcp` is missing.
        """
        settings = self.settings
        service = Service(context, self._turns["model"])
        admission = Admission(settings.queue_size, settings.max_bodies_mb * 2**20, self._waiting)
        self._routes.append(rest.mounted(service, admission, self.metrics))
        if settings.mcp:
            route, running = mcp.mounted(service, admission, self.metrics)
            self._routes.append(route)
            self._running.append(running)

        def read() -> Iterator[tuple[str, str, float]]:
            yield "daah_api_calls_in_progress", "Calls of the API.", admission.calls
            yield "daah_api_body_bytes", "Bytes of the bodies of these calls.", admission.bytes
            yield "daah_page_events_waiting", "Events that wait for their turn.", self._waiting()
            held = getattr(self.state_holder, "held", 0)
            yield "daah_sessions", "Sessions of visitors.", len(self.state_holder.session_data)
            yield "daah_session_bytes", "Bytes that sessions hold.", held
            with contextlib.suppress(GalleryError):  # /health says so
                gallery = context.retriever.gallery
                yield "daah_gallery_photos", "Photos of the gallery.", gallery.count()
                people = gallery.store.count_people()
                yield "daah_gallery_people", "People of the gallery.", people

        self.metrics.watch(read)

    def _waiting(self) -> int:
        """Number of events that wait for their turn."""
        return len(self._queue)

    async def process_api(self, *args: Any, event_data: Any = None, **more: Any) -> dict[str, Any]:
        """See `gr.Blocks.process_api`. Data that came with the event is made a dictionary first.

        Errors of this package are shown to the visitor. Of any other error the visitor is told that
        it is the server's, and the log gets its place.

        Raises:
            UserError: the event failed.
        """
        if event_data is not None and not isinstance(event_data._data, dict):
            event_data._data = {}
        visit = more.get("state")
        try:
            return await self._answered(*args, event_data=event_data, **more)
        except gr.Error as problem:
            if isinstance(visit, Visit):
                visit.reason = str(problem.message)
            raise
        finally:
            if getattr(more.get("block_fn"), "api_name", None) in ENDPOINTS:
                # They have no state, and would push visitors' sessions out of those that are kept.
                self.state_holder.session_data.pop(more.get("session_hash"), None)
                self.state_holder.time_last_used.pop(more.get("session_hash"), None)

    async def _answered(self, *args: Any, **more: Any) -> dict[str, Any]:
        """`process_api` of Gradio, of which every failure is a `gr.Error` with a sentence."""
        try:
            return await super().process_api(*args, **more)
        except gr.Error:
            raise
        except DaahError as problem:
            raise UserError(str(problem)) from None
        except Exception as problem:  # of any kind: Gradio would print it with its values
            note(problem)
            raise UserError(FAILED, title="No result") from None

    def launch(self, **overrides: Any) -> Any:
        """See `gr.Blocks.launch`. Defaults are the project's settings (`launch_settings`)."""
        READER.start()
        SMALL_READER.start()
        # It logs what a caller names and sends, and answers the caller with the same.
        logging.getLogger("mcp").setLevel(logging.CRITICAL)
        return super().launch(**{**self.launch_settings(), **overrides})

    def launch_settings(self) -> dict[str, Any]:
        """Arguments of `launch` by name, each with its reason."""
        settings = self.settings
        upload = settings.max_upload_mb * 2**20
        # Somebody at their own computer adds whole sets of photos at once.
        body = upload if settings.public else 50 * upload
        return {
            "theme": theme(),
            "css": static("page/style.css") + static("ondevice/panels.css"),
            "head": f"<style>{static('page/frame.css')}</style>",
            "max_file_size": upload,
            "strict_cors": True,  # other sites must not use a visitor's browser against this one
            "ssr_mode": False,  # server-side rendering has failed on Spaces before
            "run_history": False,  # it keeps every result in the browser, with server paths
            "show_error": False,  # a traceback is for the log
            "enable_monitoring": False,
            "_frontend": False,  # Gradio gives up when the page takes three seconds to be drawn
            "allowed_paths": [],  # pictures travel inside the page
            "footer_links": ["api"],
            "state_session_capacity": settings.max_sessions,
            "mcp_server": False,  # ours is at /mcp
            "app_kwargs": {
                "routes": self._routes,
                "middleware": [
                    Middleware(
                        RequestGuard,
                        max_bytes=body,
                        max_api_bytes=_API_PHOTOS * upload,
                        max_stored=settings.max_stored_mb * 2**20,
                        endpoints=ENDPOINTS,
                    ),
                    Middleware(ContentPolicy),
                    Middleware(preview.Preview),
                ],
                # Not failures of the server, so nothing for its log.
                "exception_handlers": {
                    KeyError: unknown,
                    ClientDisconnect: unknown,
                    OSError: full,
                },
                "lifespan": self._lifespan,
            },
        }

    @contextlib.asynccontextmanager
    async def _lifespan(self, server: Any) -> AsyncIterator[None]:
        """While the server is up: sessions are kept as `Visits` keeps them, and forgotten."""
        settings = self.settings
        server.state_holder = Visits(
            settings.max_session_mb * 2**20,
            settings.max_held_mb * 2**20,
            _emptied,
            last=lambda value: isinstance(value, SessionGallery),
        )
        server.state_holder.set_blocks(self)
        server.middleware_stack = Gate(server.middleware_stack, local=not settings.public)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(
                retention_lifespan(self, settings.file_age, settings.sweep_seconds, self._kept)
            )
            for running in self._running:
                await stack.enter_async_context(running())
            yield

    def _kept(self, value: Any) -> Any:
        """The value of a visitor's State that is kept: itself, or nothing after its expiry."""
        if isinstance(value, Expires) and value.expired(self.settings.file_age):
            return None
        if isinstance(value, SessionGallery) and len(value):
            # Gradio's own limit goes by the wall clock, which may be set back.
            old = time.monotonic() - value.born > 60 * self.settings.additions_minutes
            return SessionGallery() if old else value
        return value


def build_app(
    retriever: FaceRetriever,
    settings: Settings | None = None,
    others: Mapping[str, Path] | None = None,
    awaited: Awaited | None = None,
) -> App:
    """Build the page over a retriever.

    Args:
        retriever: the retriever; its gallery is the one that is shown.
        settings: the operator's settings; None takes `Settings.from_environment()`.
        others: checkpoints that a visitor may search by instead, by name; None takes those beside
            the shipped one.
        awaited: a gallery that is built in the background, and then searched instead.

    Returns:
        The app, ready to launch.

    Raises:
        ConfigError: a setting in the environment is invalid.
        MissingPackageError: a setting needs a package that is not installed.
    """
    settings = settings or Settings.from_environment()
    context = AppContext(
        retriever, settings, shipped_others(retriever) if others is None else others
    )
    start_example = load_start_example(retriever)
    device = DeviceFiles(retriever)
    own = DeviceRoutes(context, device).routes()
    with App(settings, context.figures, context.problem, own) as demo:
        if awaited:
            context.search_when_built(awaited)
        header = html_panel(
            "header",
            _header(settings) + visit.parts(retriever.bits),
            script=("page/panel.js", "page/steps.js", "page/terms.js", "page/address.js"),
        )
        if device.models:
            panels.add_switch(device, codes.nbytes(retriever.bits))
        additions = gr.State(SessionGallery(), time_to_live=60 * settings.additions_minutes)
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab(visit.TABS["search"], id="search", elem_id="tab-search"):
                if device.models:
                    panels.add_search(device)
                search = SearchTab(context, additions, start_example)
            with gr.Tab(visit.TABS["compare"], id="compare", elem_id="tab-compare"):
                if device.models:
                    panels.add_compare(device)
                CompareTab(context)
            with gr.Tab(visit.TABS["live"], id="live"):
                LiveTab(context, additions, device.base if device.models else "")
            with gr.Tab(visit.TABS["gallery"], id="gallery") as gallery_tab:
                panels.add_note("gallery-note", ON_SERVER)
                gallery = GalleryTab(context, additions, search, tabs)
            with gr.Tab(visit.TABS["methods"], id="methods") as methods_tab:
                panels.add_note("methods-note", ON_SERVER)
                MethodsTab(context, additions, search, methods_tab)
            with gr.Tab(visit.TABS["quality"], id="quality") as quality_tab:
                QualityTab(context, quality_tab)
            with gr.Tab(visit.TABS["about"], id="about"):
                AboutTab(context)
        gallery_tab.select(gallery.show, gallery.inputs, gallery.outputs, **REDRAWS)
        header.select(lambda: gr.Tabs(selected="about"), None, tabs, **REDRAWS)
        add_endpoints(context)
    demo.queue(
        max_size=settings.queue_size,
        default_concurrency_limit=1,
        api_open=False,
    )
    demo.add_api(context)
    return demo


def _emptied(value: Any) -> Any:
    """The value of a State after it was dropped to free memory for other visitors."""
    return SessionGallery() if isinstance(value, SessionGallery) else None


def _header(settings: Settings) -> str:
    code = f'<a href="{escape(settings.code_url)}">Code</a>' if settings.code_url else ""
    return (
        f"<header><h1>{TITLE}</h1>"
        '<p class="lead">Finds a face by 32 bytes, and shows why.</p>'
        f'<nav aria-label="About this page"><a href="{PAPER}">Paper</a>{code}'
        '<button type="button" data-do="card">Model card</button></nav>'
        '<p class="privacy">Photos are processed on this server, deleted within '
        f"{settings.keep_words} and never used for training"
        f"{', nor added to the gallery' if settings.public else ''}.</p></header>"
    )
