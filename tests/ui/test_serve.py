"""Serving: where the app listens, and what is said where it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from daah.errors import ConfigError
from daah.ui.serve import serve


class Listening:
    """Stands for an app; notes what it is launched with."""

    def __init__(self, problem: OSError | None = None) -> None:
        self.problem = problem
        self.launched: list[dict[str, Any]] = []
        self.closed = 0

    def launch(self, **options: Any) -> None:
        self.launched.append(options)
        if self.problem:
            raise self.problem

    def close(self, verbose: bool) -> None:
        self.closed += 1


def test_the_app_listens_where_it_is_told() -> None:
    app = Listening()
    serve(app, pytest.fail, "0.0.0.0", 8080)
    assert app.launched == [{"server_name": "0.0.0.0", "server_port": 8080}]
    assert app.closed == 1


def test_a_port_that_is_taken_is_a_named_error() -> None:
    app = Listening(OSError("Cannot find empty port in range:\n 8080-8080."))
    with pytest.raises(ConfigError, match="Cannot find empty port in range: 8080-8080"):
        serve(app, pytest.fail, port=8080)
    assert app.closed == 1
