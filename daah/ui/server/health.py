"""Whether the server can search: for whatever starts, watches and restarts it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daah.ui.server.api_errors import json_error


def route(problem: Callable[[], str]) -> Route:
    """What answers at /health: 200 when the server can search, and 503 with what is wrong.

    Args:
        problem: says in a sentence what is wrong; "" when nothing is.

    Returns:
        The route.
    """

    async def answer(_: Request) -> Response:
        wrong = await run_in_threadpool(problem)
        if wrong:
            return json_error(503, wrong)
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return Route("/health", answer, methods=["GET"])
