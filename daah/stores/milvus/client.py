"""Calls to a Milvus server: retried while it is unreachable, with readable errors."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException
from pymilvus.client.types import Status

from daah.errors import GalleryError
from daah.stores.milvus.uri import Address

# It logs a traceback for every failed call, also for those that are raised as a GalleryError.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)


class Connection:
    """A client of the server at `address`, which closes only when no call is in progress.

    gRPC ends the whole process with a segmentation fault when a channel is closed while another
    thread begins a call on it.

    Args:
        address: address and options of the gallery.

    Raises:
        GalleryError: the server does not answer or refuses the token.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()
        self._within = threading.local()
        trust = {"server_pem_path": address.options.ca} if address.options.ca else {}
        self.client: MilvusClient = call(
            address,
            MilvusClient,
            address.server,
            token=address.token,
            db_name=address.options.database,
            dedicated=True,
            **trust,
        )

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a method of the client as the function `call` does.

        Args:
            function: a method of the client.
            arguments: positional arguments of it.
            options: keyword arguments of it, and `seconds` of `call`.

        Returns:
            What the method returns.

        Raises:
            GalleryError: the call failed, or the connection is closed.
        """
        with self.operation():
            return call(self.address, function, *arguments, **options)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Context of one or several calls for which `close` waits.

        Raises:
            GalleryError: the connection is closed.
        """
        if getattr(self._within, "operation", False):  # it may be closing, and waits for this one
            yield
            return
        with self._changed:
            self.check_open()
            self._running += 1
        self._within.operation = True
        try:
            yield
        finally:
            self._within.operation = False
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def check_open(self) -> None:
        """Check that the connection is open.

        Raises:
            GalleryError: it was closed.
        """
        if self._closed:
            raise GalleryError(f"The {self.address.name} is closed; open it again.")

    def close(self) -> None:
        """Refuse further calls, wait for those in progress, and close. Idempotent."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.wait_for(lambda: not self._running)
        if first:
            self.client.close()


def call(
    address: Address,
    function: Callable[..., Any],
    *arguments: Any,
    seconds: float | None = None,
    **options: Any,
) -> Any:
    """Call the server, and retry with exponential backoff while it is unreachable or busy.

    Every request here is idempotent.

    Args:
        address: the server, whose options have the timeout.
        function: a method of the client.
        arguments: positional arguments of it.
        seconds: timeout of all retries together; None takes that of the address.
        options: keyword arguments of it.

    Returns:
        What the method returns.

    Raises:
        GalleryError: the call failed.
    """
    seconds = seconds or address.options.timeout
    deadline = time.monotonic() + seconds
    pause = 0.05
    with named_errors(address):
        while True:
            try:
                return function(*arguments, timeout=seconds, **options)
            except (MilvusException, grpc.RpcError) as error:
                again = getattr(error, "retriable", False) or _is_away(error)
                if not again or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, 3.0)


@contextmanager
def named_errors(address: Address) -> Iterator[None]:
    """Context in which errors of pymilvus become a GalleryError that says what to do.

    Args:
        address: address of the gallery, for the error.

    Raises:
        GalleryError: the block raised an error of pymilvus.
    """
    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
        if _is_refusal(error):
            what = "refused the token. Set DAAH_MILVUS_TOKEN to one that may use the collection."
        elif _is_away(error):
            what = (
                "does not answer. Check that the server runs, the address, and whether it wants "
                "TLS, then try again."
            )
        else:
            what = f"could not do this: {getattr(error, 'message', '') or error}"
        raise GalleryError(f"The {address.name} {what}") from error


def _codes(error: BaseException | None) -> set[object]:
    """Status codes of an error and of its causes; pymilvus makes errors their own cause."""
    seen: dict[int, object] = {}
    while error is not None and id(error) not in seen:
        code = getattr(error, "code", None)
        seen[id(error)] = code() if callable(code) else code
        error = error.__cause__ or error.__context__
    return set(seen.values())


def _is_refusal(error: BaseException) -> bool:
    return bool(
        _codes(error) & {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
    )


def _is_away(error: BaseException) -> bool:
    """Whether the server could not be reached, did not answer in time, or is still starting."""
    away = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, Status.CONNECT_FAILED}
    return not _is_refusal(error) and (
        bool(_codes(error) & away) or "not ready" in str(getattr(error, "message", ""))
    )
