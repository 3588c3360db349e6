"""What all routes work with: the retriever, whose turn it is, and how photos are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter
from fastapi import Depends, Request, UploadFile

from daah.errors import ImageError
from daah.reading import READER
from daah.retrieval.retriever import FaceRetriever
from daah.ui.page.events import AT_ONCE
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext

Answer = TypeVar("Answer")


class Service:
    """What all calls share. Nothing of a call is kept.

    Args:
        context: the page's shared state, with the retriever.
        turn: held by whatever runs the network or writes to the gallery, on the page too.
    """

    def __init__(self, context: AppContext, turn: asyncio.Semaphore) -> None:
        self.context = context
        self._turn = turn
        # Pixels of the largest photo take 120 MB: so many calls have them at a time.
        self._photos = asyncio.Semaphore(AT_ONCE)
        self._threads = CapacityLimiter(2 * AT_ONCE)

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self.context.settings

    @property
    def retriever(self) -> FaceRetriever:
        """The retriever of the present gallery."""
        return self.context.retriever

    async def with_photo(self, data: bytes, work: Callable[[np.ndarray], Answer]) -> Answer:
        """Read a photo and let work have it in its turn.

        Args:
            data: the file's bytes.
            work: called in a thread with the upright photo (H, W, 3) uint8 RGB.

        Returns:
            What `work` returned.

        Raises:
            ImageError: the photo cannot be read.
            Exception: what `work` raised.
        """
        if not data:
            raise ImageError("The file is empty.")
        async with self._photos:
            photo = await self.aside(READER.read, data)
            return await self.in_turn(work, photo)

    async def in_turn(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run what uses the network or writes to the gallery, one after another.

        Args:
            work: called in a thread.
            arguments: its arguments.

        Returns:
            What it returned.

        Raises:
            Exception: what it raised.
        """
        async with self._turn:
            return await self.aside(work, *arguments)

    async def aside(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run something in a thread. One that has begun is waited for, even when it is late.

        Args:
            work: called in a thread.
            arguments: its arguments.

        Returns:
            What it returned.

        Raises:
            Exception: what it raised.
        """
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._threads)


def _service(request: Request) -> Service:
    return request.app.state.service


#: The service, as routes ask for it.
Served = Annotated[Service, Depends(_service)]


async def taken(upload: UploadFile) -> bytes:
    """The bytes of an uploaded file, which the form lets go of.

    Args:
        upload: the file.

    Returns:
        Its bytes.
    """
    data = await upload.read()
    await upload.close()
    return data


def name_of(upload: UploadFile) -> str:
    """The name of an uploaded file without folders.

    Args:
        upload: the file.

    Returns:
        The name; "photo" without one.
    """
    return PurePosixPath((upload.filename or "").replace("\\", "/")).name[:200] or "photo"
