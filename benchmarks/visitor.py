"""A visitor without a browser: speaks to the page over plain HTTP, as its scripts do.

Knows nothing of the app but what the page itself is told (`/config`). Used by the load test and by
the tests of what a stranger may send.
"""

from __future__ import annotations

import http.client
import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """What the server said to one request. status: of HTTP; headers: lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Outcome:
    """What became of one event. values: new values by element id, of outputs that changed.

    error: the sentence that the page would show; "" when all went well.
    """

    values: Mapping[str, Any]
    error: str = ""


class Visitor:
    """One open page. Not for use by several threads.

    Args:
        url: Of the app, ending in a slash.
        timeout: Seconds that a request may take.
        address: What a proxy would say of where the visitor is; nothing by default.
    """

    def __init__(self, url: str, timeout: float = 240, address: str = "") -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.timeout = timeout
        self._always = {"X-Forwarded-For": address} if address else {}
        self.session = secrets.token_hex(8)
        reply = self.request("GET", "/config")
        if reply.status != 200:
            raise ConnectionError(f"/config: {reply.status} {reply.text[:200]}")
        self.config = json.loads(reply.body)
        self._props = {c["id"]: c["props"] for c in self.config["components"]}
        self._kinds = {c["id"]: c["type"] for c in self.config["components"]}

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request on a connection of its own; `_` in names of headers stands for `-`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {**self._always, **sent})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any, **headers: str) -> Reply:
        """POST a value as JSON."""
        body = json.dumps(value).encode()
        return self.request("POST", path, body, Content_Type="application/json", **headers)

    def upload(self, name: str, data: bytes) -> Reply:
        """POST a file as the page does; the reply's JSON is a list with its path."""
        mark = uuid.uuid4().hex
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        return self.request("POST", "/gradio_api/upload", body, Content_Type=kind)

    def photo(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload a photo: the value that the page then sends for it. ConnectionError if refused."""
        reply = self.upload(name, data)
        if reply.status != 200:
            raise ConnectionError(f"{reply.status} {reply.text}")
        (path,) = json.loads(reply.body)
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def event(self, element: str, name: str = "input") -> dict[str, Any]:
        """The event `name` of the element, as the page's configuration has it.

        Photos are given by `upload`, all other values by `input`; both are meant by `input`.
        """
        names = ("input", "upload") if name == "input" else (name,)
        for dependency in self.config["dependencies"]:
            for id_, trigger in dependency["targets"]:
                if trigger in names and self._props.get(id_, {}).get("elem_id") == element:
                    return dependency
        raise LookupError(f"no event {name!r} of {element!r}")

    def send(
        self,
        element: str,
        name: str = "input",
        values: Mapping[str, Any] | None = None,
        event_data: Any = None,
    ) -> Outcome:
        """Let an event happen. values: what stands in inputs, by element id, where not as at first.

        Raises ConnectionError when the request itself is refused, as by a full queue.
        """
        return self.fire(self.event(element, name), values, event_data)

    def turn(self, label: str) -> list[Outcome]:
        """Turn to the tab of this label: everything that the page then asks for, in its order."""
        tab = next(id_ for id_ in self._tabs() if self._props[id_].get("label") == label)
        return [
            self.fire(dependency)
            for dependency in self.config["dependencies"]
            if [tab, "select"] in [list(target) for target in dependency["targets"]]
        ]

    @property
    def tabs(self) -> list[str]:
        """Labels of the page's tabs, in its order."""
        return [self._props[id_]["label"] for id_ in self._tabs()]

    def _tabs(self) -> list[int]:
        return [id_ for id_, kind in self._kinds.items() if kind == "tabitem"]

    def fire(
        self,
        dependency: dict[str, Any],
        values: Mapping[str, Any] | None = None,
        event_data: Any = None,
    ) -> Outcome:
        """As `send`, for an event as the page's configuration has it."""
        body = {
            "data": [self._input(id_, values or {}) for id_ in dependency["inputs"]],
            "event_data": event_data,
            "fn_index": dependency["id"],
            "trigger_id": dependency["targets"][0][0],
            "session_hash": self.session,
        }
        if dependency["queue"] is False:
            reply = self.post("/gradio_api/run/predict", body)
            told = json.loads(reply.body)
            if reply.status != 200:
                return Outcome({}, str(told.get("error") or told))
            return self._outcome(dependency, told)
        reply = self.post("/gradio_api/queue/join", body)
        if reply.status != 200:
            raise ConnectionError(f"{reply.status} {reply.text}")
        event = json.loads(reply.body)["event_id"]
        for message in self.messages(f"/gradio_api/queue/data?session_hash={self.session}"):
            if message["msg"] == "process_completed" and message["event_id"] == event:
                if message["success"]:
                    return self._outcome(dependency, message["output"])
                return Outcome({}, str(message["output"].get("error")))
            if message["msg"] in ("unexpected_error", "close_stream"):
                raise ConnectionError(str(message))
        raise ConnectionError("the answer broke off")

    def search(self, photo: Any, k: int = 8, bits: int = 128) -> Reply:
        """The endpoint `/search`: the reply's body is its event stream."""
        reply = self.post("/gradio_api/call/search", {"data": [photo, k, bits]})
        if reply.status != 200:
            return reply
        event = json.loads(reply.body)["event_id"]
        return self.request("GET", f"/gradio_api/call/search/{event}")

    def messages(self, path: str) -> Iterator[dict[str, Any]]:
        """The messages of an event stream as they come."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request("GET", path, headers=self._always)
            answer = connection.getresponse()
            for line in answer:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            connection.close()

    def _input(self, id_: int, values: Mapping[str, Any]) -> Any:
        name = self._props[id_].get("elem_id")
        if name in values:
            return values[name]
        return None if self._kinds[id_] == "state" else self._props[id_].get("value")

    def _outcome(self, dependency: dict[str, Any], told: dict[str, Any]) -> Outcome:
        changed = {}
        for id_, value in zip(dependency["outputs"], told["data"], strict=True):
            name = self._props[id_].get("elem_id")
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" not in value:
                    continue
                value = value["value"]
            if name:
                changed[name] = value
        return Outcome(changed)
