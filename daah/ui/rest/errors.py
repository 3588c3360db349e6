"""What went wrong with a call of the API, as its one JSON shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from daah.errors import ConfigError, DaahError, GalleryError, ImageError
from daah.ui.server.api_errors import json_error
from daah.ui.server.failures import FAILED

#: Said of a status whose reason FastAPI and Starlette word for programmers.
_SENTENCES = {
    400: "The body cannot be read; send what the documentation of the route shows.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
}


class ApiError(Exception):
    """A call that is answered with an error.

    Args:
        status: of HTTP.
        message: one or two sentences.
        code: a word for programs; "" takes that of the status.
        headers: further headers.
    """

    def __init__(
        self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers

    def response(self) -> Response:
        """The answer."""
        return json_error(self.status, self.message, self.code, self.headers)


def of(problem: DaahError) -> ApiError:
    """The answer to an error of this package.

    Args:
        problem: the error.

    Returns:
        422 for a photo, a name or a number; 503 for a gallery or a model.
    """
    if isinstance(problem, ImageError):
        return ApiError(422, str(problem), "photo")
    if isinstance(problem, ConfigError):
        return ApiError(422, str(problem))
    return ApiError(503, str(problem))


def conflict(problem: GalleryError) -> ApiError:
    """The answer to a change that the gallery's people do not allow.

    Args:
        problem: the error.

    Returns:
        409.
    """
    return ApiError(409, str(problem))


def add_handlers(api: FastAPI) -> None:
    """Have an application answer every error in this shape.

    Args:
        api: the application.
    """
    api.add_exception_handler(ApiError, _api_error)
    api.add_exception_handler(DaahError, _daah_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(Exception, _failed)


async def _api_error(_: Request, problem: Any) -> Response:
    return problem.response()


async def _daah_error(_: Request, problem: Any) -> Response:
    return of(problem).response()


async def _failed(_: Request, _problem: Exception) -> Response:
    return json_error(500, FAILED)


async def _http_error(_: Request, problem: Any) -> Response:
    message = _SENTENCES.get(problem.status_code, str(problem.detail))
    return json_error(problem.status_code, message, headers=problem.headers)


async def _invalid(_: Request, problem: Any) -> Response:
    if any(error["type"] == "json_invalid" for error in problem.errors()):
        return json_error(400, "The body is not valid JSON.")
    return json_error(422, told(problem.errors()))


def told(errors: Sequence[Any]) -> str:
    """What pydantic finds wrong, in a sentence without the values that came.

    Args:
        errors: as of pydantic's `ValidationError.errors`.

    Returns:
        The first three, by their fields.
    """
    found = []
    for error in errors[:3]:
        place = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
        # A field that nobody knows is named by whoever sent it.
        where = "" if error["type"] == "extra_forbidden" else ".".join(place)[:100]
        says = "a field is not known" if not where and place else error["msg"]
        found.append(f"{where}: {says}" if where else says)
    return f"{'; '.join(found)}."
