"""Gradio's picture input, with errors that a stranger may read.

A file that Pillow cannot open makes Gradio's own component answer with the path of the upload on
the server. This subclass keeps the component's name and class, so that the page treats it as the
original, and turns whatever goes wrong into a sentence.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData

from daah.errors import ImageError
from daah.reading import READER
from daah.ui.server.user_error import UserError

_UI = Path(__file__).parents[1]


class Photo(gr.Image):
    """`gr.Image` whose value is (H, W, 3) uint8 RGB, upright, read through `daah.reading`."""

    def preprocess(self, payload: ImageData | None) -> np.ndarray | None:
        """The uploaded photo. Raises UserError with the ImageError's sentence."""
        if payload is None:
            return None
        if not payload.path:
            raise UserError("A photo must be uploaded as a file.", title="No photo")
        try:
            return READER.read(Path(payload.path))
        except ImageError as problem:
            raise UserError(str(problem), title="This photo cannot be read") from None

    is_template = True  # the page draws it as its base

    @classmethod
    def get_component_class_id(cls) -> str:
        """The base's, under which the page asks for the component's code."""
        return gr.Image.get_component_class_id()


def upload(label: str, elem_id: str, height: int, alt_text: str = "The photo you gave") -> Photo:
    """The field where a visitor gives a photo: by file, camera or clipboard.

    Args:
        label: what the photo is for.
        elem_id: id of the field in the page.
        height: pixels of the field.
        alt_text: what screen readers say of the photo.

    Returns:
        The component, in the current Blocks.
    """
    return Photo(
        label=label,
        sources=["upload", "webcam", "clipboard"],
        elem_id=elem_id,
        height=height,
        buttons=[],
        alt_text=alt_text,
        placeholder="Drop a photo here, or tap to choose one",
    )


@cache
def static(name: str) -> str:
    """The text of a file in the `static` folder of a part of the page: `live/live.js`."""
    folder, _, file = name.partition("/")
    return (_UI / folder / "static" / file).read_text(encoding="utf-8")


def html_panel(
    elem_id: str,
    value: str = "",
    live: bool = False,
    script: str | tuple[str, ...] = "page/panel.js",
    **more: Any,
) -> gr.HTML:
    """A piece of the page drawn by `render`; its buttons arrive as `select` events.

    live: screen readers announce what changes in it. script: the file in `static` that it runs,
    or several, each in a scope of its own.
    """
    scripts = (script,) if isinstance(script, str) else script
    template = '<div role="status" aria-live="polite">${value}</div>' if live else "${value}"
    return gr.HTML(
        value,
        elem_id=elem_id,
        elem_classes="part",
        html_template=template,
        js_on_load="\n".join(f"{{{static(name)}\n}}" for name in scripts),
        apply_default_css=False,
        **more,
    )
