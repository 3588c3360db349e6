"""Which tests run one after another in one process, and share what their fixtures make."""

from __future__ import annotations

import contextlib

import pytest

#: What ends after the last test of Milvus: a server that nobody asks takes a third of a processor.
RUNNING = pytest.StashKey[contextlib.ExitStack]()


def needs_milvus(item: pytest.Item) -> bool:
    """Whether a test talks to a real Milvus server, of which a machine can run one at a time."""
    fixtures = getattr(item, "fixturenames", ())
    return "milvus_server" in fixtures or item.get_closest_marker("milvus") is not None


def group(item: pytest.Item) -> str:
    """The tests of Milvus together, and others by their file."""
    return "milvus" if needs_milvus(item) else item.nodeid.partition("::")[0]
