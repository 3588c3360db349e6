"""Tools for assistants, by the Model Context Protocol (MCP) at /mcp: they read and change nothing.

Each call is one request and one answer: no session is kept. Calls have the limits of the API.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import daah
from daah.errors import DaahError
from daah.extras import extra_packages
from daah.ui.page.photos import base64_bytes
from daah.ui.rest import faces, people
from daah.ui.rest.admission import LATE, Admission, Limited
from daah.ui.rest.errors import ApiError, told
from daah.ui.rest.schemas import MOST_ROWS, Count
from daah.ui.rest.service import Service
from daah.ui.server.api_errors import MCP, json_error
from daah.ui.server.failures import FAILED, note
from daah.ui.server.metrics import Metrics

_ABOUT = (
    "Finds faces in photos, compares them, and searches a gallery of people by their faces. A "
    "verdict says what a distance means: match, unclear, or no match. A match is no proof."
)

Photo = Annotated[
    str,
    Field(
        description="A photo's file (JPEG, PNG, WebP, AVIF or HEIC, at most 10 MiB) as base64 "
        "text, with or without the head of a data URI. Addresses and paths are not read."
    ),
]
Bits = Annotated[
    int | None,
    Field(description="Code length in bits, one of the model's; the longest by default."),
]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchArguments(_Arguments):
    """Arguments of `search`."""

    photo: Photo
    k: Count = 8
    bits: Bits = None


class EncodeArguments(_Arguments):
    """Arguments of `encode`."""

    photo: Photo
    bits: Bits = None


class CompareArguments(_Arguments):
    """Arguments of `compare`."""

    first: Photo
    second: Photo
    bits: Bits = None


class ListArguments(_Arguments):
    """Arguments of `list_people`."""

    name: Annotated[
        str, Field(max_length=200, description="Part of a name or identifier; none for everybody.")
    ] = ""
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="Number of people.")] = 50
    cursor: Annotated[
        str, Field(max_length=2000, description="`next` of the answer before; none at first.")
    ] = ""


@dataclass(frozen=True)
class Tool:
    """A tool that assistants may use.

    Attributes:
        name: its name.
        text: what it does.
        arguments: what it takes.
        work: does it, and returns plain JSON values.
    """

    name: str
    text: str
    arguments: type[BaseModel]
    work: Callable[[Any], Awaitable[dict[str, Any]]]


def tools(service: Service) -> list[Tool]:
    """All tools.

    Args:
        service: as of the API.

    Returns:
        The tools.
    """

    async def search(asked: SearchArguments) -> dict[str, Any]:
        retriever = service.retriever
        bits = faces.length(retriever, asked.bits)
        data = base64_bytes(asked.photo)
        return await service.with_photo(
            data, lambda rgb: faces.search_photo(retriever, rgb, asked.k, bits)
        )

    async def encode(asked: EncodeArguments) -> dict[str, Any]:
        retriever = service.retriever
        bits = faces.length(retriever, asked.bits)
        data = base64_bytes(asked.photo)
        return await service.with_photo(data, lambda rgb: faces.encode_photo(retriever, rgb, bits))

    async def compare(asked: CompareArguments) -> dict[str, Any]:
        retriever = service.retriever
        bits = faces.length(retriever, asked.bits)
        one, two = [
            await service.with_photo(
                base64_bytes(photo),
                lambda rgb, which=which: faces.largest_face(retriever, rgb, which),
            )
            for which, photo in (("first", asked.first), ("second", asked.second))
        ]
        return faces.compare_faces(retriever, one, two, bits)

    async def list_people(asked: ListArguments) -> dict[str, Any]:
        page = await people.list_people(service, asked.name, asked.limit, asked.cursor)
        return page.model_dump()

    return [
        Tool(
            "search",
            "Find the faces of a photo, and the people and photos of the gallery nearest to each.",
            SearchArguments,
            search,
        ),
        Tool(
            "compare",
            "Tell whether the largest faces of two photos are of the same person.",
            CompareArguments,
            compare,
        ),
        Tool(
            "encode",
            "Find the faces of a photo and compute their binary codes.",
            EncodeArguments,
            encode,
        ),
        Tool("list_people", "List the people of the gallery.", ListArguments, list_people),
    ]


class Assistants:
    """ASGI application that answers assistants while `running` is entered.

    Args:
        service: as of the API.

    Raises:
        MissingPackageError: the package `mcp` is missing.
    """

    def __init__(self, service: Service) -> None:
        with extra_packages("A server for assistants"):
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        self._manager_class = StreamableHTTPSessionManager
        self._tools = {tool.name: tool for tool in tools(service)}
        self._seconds = service.settings.api_seconds
        self._manager: Any = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer, from now on until this is left."""
        # The manager of a server that was stopped cannot be started again.
        manager = self._manager_class(self._server(), json_response=True, stateless=True)
        async with manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":  # the others are for sessions
            await json_error(405, "Send POST requests of the Model Context Protocol.")(
                scope, receive, send
            )
        else:
            await self._manager.handle_request(scope, receive, send)

    def _server(self) -> Any:
        from mcp import types
        from mcp.server.lowlevel import Server

        server: Any = Server("daah", version=daah.__version__, instructions=_ABOUT)

        @server.list_tools()
        async def list_tools() -> list[types.Tool]:
            return [
                types.Tool(
                    name=tool.name,
                    description=tool.text,
                    inputSchema=tool.arguments.model_json_schema(),
                    annotations=types.ToolAnnotations(readOnlyHint=True, openWorldHint=False),
                )
                for tool in self._tools.values()
            ]

        # Arguments are checked here: the library's messages repeat them.
        @server.call_tool(validate_input=False)
        async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
            answer, failed = await self._answer(name, arguments)
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=answer)], isError=failed
            )

        return server

    async def _answer(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """The answer of a tool as text, and whether it is an error."""
        if name not in self._tools:
            return f"There is no such tool; there are {', '.join(self._tools)}.", True
        tool = self._tools[name]
        try:
            # The library runs tools in tasks of their own, which a late request does not end.
            with anyio.fail_after(self._seconds):
                found = await tool.work(tool.arguments.model_validate(arguments))
        except ValidationError as problem:
            return told(problem.errors()), True
        except ApiError as problem:
            return problem.message, True
        except DaahError as problem:
            return str(problem), True
        except TimeoutError:
            return LATE, True
        except Exception as problem:  # of any kind: its text may hold what the caller sent
            note(problem)
            return FAILED, True
        return json.dumps(found, ensure_ascii=False), False


def mounted(
    service: Service, admission: Admission, metrics: Metrics
) -> tuple[Route, Callable[[], contextlib.AbstractAsyncContextManager[None]]]:
    """The tools with their limits, as a route of the page's server.

    Args:
        service: as of the API.
        admission: of the API, whose limits calls of tools share.
        metrics: where calls are counted.

    Returns:
        The route, and what is entered while the server runs.

    Raises:
        MissingPackageError: the package `mcp` is missing.
    """
    assistants = Assistants(service)
    limited = Limited(assistants, admission, service.settings, metrics, lambda _: MCP)
    return Route(MCP, limited), assistants.running
