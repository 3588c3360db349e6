"""Checks of what an event brings along, before it reaches a handler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gradio as gr

from daah.ui.server.user_error import UserError

#: Said to a request that no page of this app sends.
NEVER = "The page sent a value that it does not offer. Reload the page."


def refuse_addresses(inputs: Any) -> None:
    """Raise UserError when a value of an event names a file by address or without Gradio's mark.

    Gradio checks that a marked file was uploaded; it would download one given by address.
    """
    if isinstance(inputs, dict):
        if isinstance(inputs.get("path"), str):
            marked = (inputs.get("meta") or {}).get("_type") == "gradio.FileData"
            if not marked or "://" in inputs["path"]:
                raise UserError("Photos are accepted as uploads only, not by URL.")
        values: Any = inputs.values()
    elif isinstance(inputs, list | tuple):
        values = inputs
    else:
        return
    for value in values:
        refuse_addresses(value)


def as_offered(blocks: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """The values of an event's inputs as the page's sliders, choices and text boxes give them.

    Gradio checks only the ends of a slider, and takes no choice for one. Raises UserError for a
    slider's value that is no number, and for no choice.
    """
    checked = list(values)
    for i, (block, value) in enumerate(zip(blocks, values, strict=True)):
        if isinstance(block, gr.Textbox):
            checked[i] = value or ""
        elif isinstance(block, gr.Slider):
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise UserError(NEVER)
            checked[i] = round(value) if float(block.step).is_integer() else float(value)
        elif isinstance(block, gr.Radio) and value is None:
            raise UserError(NEVER)
    return checked


def whole(event: gr.EventData, name: str) -> int:
    """A whole number that the page sent along; ids have more digits than a JavaScript number."""
    try:
        return int(str(event._data[name]))
    except (KeyError, TypeError, ValueError):
        raise UserError(NEVER) from None


def share(event: gr.EventData, name: str) -> float:
    """A share of a picture's side that the page sent along."""
    try:
        return float(event._data[name])
    except (KeyError, TypeError, ValueError):
        raise UserError(NEVER) from None
