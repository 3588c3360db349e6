"""The API as an application that is mounted in the page's server."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.types import Scope

import daah
from daah.ui.rest import docs, faces, people
from daah.ui.rest.admission import Admission, Limited
from daah.ui.rest.errors import add_handlers
from daah.ui.rest.schemas import Error
from daah.ui.rest.service import Service
from daah.ui.server.api_errors import API
from daah.ui.server.metrics import Metrics

_ABOUT = (
    "Finds faces in photos, computes their codes, compares them, and searches a gallery of people. "
    "Photos are JPEG, PNG, WebP, AVIF or HEIC files of at most 10 MiB; none is kept. Every error "
    'is {"error": {"code", "message"}}.'
)

_ERRORS = {
    "4XX": {"model": Error, "description": "Something is wrong with the call."},
    "5XX": {"model": Error, "description": "The server is busy, or cannot do it."},
}


def build_api(service: Service) -> FastAPI:
    """Build the API.

    Args:
        service: what routes work with. Routes that change the gallery exist only when its settings
            have a token.

    Returns:
        The application.
    """
    api = FastAPI(
        title="Face hash search",
        description=_ABOUT,
        version=daah.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
        responses=_ERRORS,
    )
    api.state.service = service
    add_handlers(api)
    # The reading routes end in routes for any name, so that others come first.
    if service.settings.token:
        token = Security(HTTPBearer(auto_error=False, description="The server's DAAH_TOKEN."))
        api.include_router(people.writing, dependencies=[token])
    api.include_router(faces.router)
    api.include_router(people.reading)
    docs.add_page(api)
    document = api.openapi()
    # FastAPI's description of its own shape of errors.
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for methods in document["paths"].values():
        for route in methods.values():
            route["responses"].pop("422", None)
    document["servers"] = [{"url": API}]
    document["paths"] = {_plain(path): methods for path, methods in document["paths"].items()}

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    return api


def mounted(service: Service, admission: Admission, metrics: Metrics) -> Mount:
    """The API with its limits, as a route of the page's server.

    Args:
        service: as of `build_api`.
        admission: who is let in.
        metrics: where calls are counted.

    Returns:
        The route.
    """
    return Mount(API, app=Limited(build_api(service), admission, service.settings, metrics, _route))


def _route(scope: Scope) -> str:
    """The route of a call that was answered: never what the caller named."""
    route: Any = scope.get("route")
    path = getattr(route, "path", "")
    return f"{API}{_plain(path)}" if path and not isinstance(route, Mount) else "other"


def _plain(path: str) -> str:
    return path.replace(":path}", "}")
