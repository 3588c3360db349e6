"""How calls are read: bodies in memory, and nothing of a call whose token is wrong."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from daah.ui.rest.errors import ApiError

FORM, JSON = "multipart/form-data", "application/json"

#: Photos of one call.
MOST_PHOTOS = 10

#: Further fields of a form, and bytes of each.
_FIELDS, _FIELD_BYTES = 10, 10_000

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _InMemory(MultiPartParser):
    """A parser that writes nothing to the disk; bodies are bounded before (`Admission`)."""

    spool_max_size = 2**62


class MemoryRequest(Request):
    """A request whose form stays in memory.

    Raises HTTPException 400 for a form that is damaged, and 422 for one of too many photos.
    """

    async def _get_form(self, **_: Any) -> FormData:
        if self._form is None:
            async with aclosing(self.stream()) as stream:
                parser = _InMemory(
                    self.headers,
                    stream,
                    max_files=MOST_PHOTOS,
                    max_fields=_FIELDS,
                    max_part_size=_FIELD_BYTES,
                )
                try:
                    self._form = await parser.parse()
                except MultiPartException as problem:
                    if problem.message.startswith("Too many files"):
                        text = f"Send at most {MOST_PHOTOS} photos in one call."
                        raise HTTPException(422, text) from None
                    raise HTTPException(400) from None
        return self._form


class ReadRoute(APIRoute):
    """A route that reads, for everybody."""

    def get_route_handler(self) -> Handler:
        """See `APIRoute.get_route_handler`. Bodies of another kind are refused unread."""
        handler = super().get_route_handler()
        accepted = self._kinds()

        async def handle(request: Request) -> Response:
            self.check(request)
            kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
            if accepted and kind not in accepted:
                raise ApiError(415, f"Send the body as {' or '.join(accepted)}.")
            return await handler(MemoryRequest(request.scope, request.receive))

        return handle

    def check(self, request: Request) -> None:
        """Refuse a caller before the body is read. Here nobody is.

        Args:
            request: the call.

        Raises:
            ApiError: the caller may not do this.
        """

    def _kinds(self) -> tuple[str, ...]:
        stated = (self.openapi_extra or {}).get("requestBody")
        if stated:
            return tuple(stated["content"])
        if self.body_field is None:
            return ()
        return (getattr(self.body_field.field_info, "media_type", JSON),)


class WriteRoute(ReadRoute):
    """A route that changes the gallery, for whoever has the operator's token."""

    def check(self, request: Request) -> None:
        """See `ReadRoute.check`. Raises ApiError 401 without the token."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        own = request.app.state.service.settings.token
        same = hmac.compare_digest(given.strip().encode(), own.encode())
        if kind.lower() != "bearer" or not same:
            raise ApiError(
                401,
                "Send the server's token in a header: Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )
