"""Options of the command that serves the web app."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from daah.cli import app
from daah.ui import start
from daah.ui.settings import Settings


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ([], {}, Settings()),
        (["--mcp"], {}, Settings(mcp=True)),
        (["--no-mcp", "--local"], {"DAAH_MCP": "1"}, Settings(public=False)),
        (["--public"], {"DAAH_MCP": "1", "DAAH_PUBLIC": "0"}, Settings(mcp=True)),
    ],
)
def test_options_override_the_environment(
    options: list[str],
    environment: dict[str, str],
    expected: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Settings] = []

    def page(settings: Settings, *_: Any) -> None:
        given.append(settings)

    monkeypatch.setattr(start, "first_page", page)
    monkeypatch.setattr(start, "run", lambda *_: None)
    done = CliRunner().invoke(app, ["app", *options], env=environment)
    assert done.exit_code == 0, done.output
    assert given == [expected]
