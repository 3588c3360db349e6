"""Errors of the API for other programs: one JSON shape, `{"error": {"code", "message"}}`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

#: Where the API is, below the address of the page.
API = "/api/v1"

#: Where assistants ask (Model Context Protocol).
MCP = "/mcp"

#: The code of an error that has no other, by status.
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    411: "length_required",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "failed",
    503: "unavailable",
}


def is_api(path: str) -> bool:
    """Whether a path belongs to the API, or to assistants."""
    return any(path == own or path.startswith(f"{own}/") for own in (API, MCP))


def json_error(
    status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in the API's shape.

    Args:
        status: of HTTP.
        message: one or two sentences.
        code: a word for programs; "" takes that of the status.
        headers: further headers.

    Returns:
        The response.
    """
    error = {"code": code or CODES.get(status, "error"), "message": message}
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse({"error": error}, status, kept)
