"""A line to a Milvus server that fails as networks do, while the server itself stays well."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from daah.stores.milvus import MilvusStore
from tests.doubles.milvus_server import MilvusServer


class Line:
    """A line to a server that can be cut, at once or in the middle of a call, or fall silent."""

    def __init__(self, server: MilvusServer) -> None:
        self._server = server
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.is_cut = self.cut_next = False
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break what is connected, and connect nobody."""
        self.is_cut, self.cut_next = True, False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        """Connect again."""
        self.is_cut = False

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Within the block it connects and passes nothing on; afterwards all that was said."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def uri(self, collection: str, **options: object) -> str:
        """Where `open_store` connects by this line."""
        uri = self._server.uri(collection, **options)
        return uri.replace(f":{self._server.port}/", f":{self.port}/")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                if self.is_cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server.port))
                self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass, args=(*pair, pair[0] is client), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if asking and self.cut_next:
                    self.cut()
                self._flows.wait()
                target.sendall(data)

    def close(self) -> None:
        """Cut for good."""
        self._flows.set()
        self.cut()
        self._listening.close()


def hurry(store: MilvusStore, seconds: float) -> None:
    """Let an open store give up after so many seconds. It was opened with all the time it took."""
    object.__setattr__(store._address.options, "timeout", seconds)
