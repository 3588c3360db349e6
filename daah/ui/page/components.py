"""Gradio's picture input, with errors that a stranger may read.

A file that Pillow cannot open makes Gradio's own component answer with the path of the upload on
the server. This subclass keeps the component's name and class, so that the page treats it as the
original, and turns whatever goes wrong into a sentence.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData

from daah.errors import ImageError
from daah.reading import READER
from daah.ui.server.user_error import Refusal


class Photo(gr.Image):
    """`gr.Image` whose value is (H, W, 3) uint8 RGB, upright, read through `daah.reading`."""

    def preprocess(self, payload: ImageData | None) -> np.ndarray | None:
        """The uploaded photo. Raises Refusal with the ImageError's sentence."""
        if payload is None:
            return None
        if not payload.path:
            raise Refusal("A photo must be uploaded as a file.", title="No photo")
        try:
            return READER.read(Path(payload.path))
        except ImageError as problem:
            raise Refusal(str(problem), title="This photo cannot be read") from None

    is_template = True  # the page draws it as its base

    @classmethod
    def get_component_class_id(cls) -> str:
        """The base's, under which the page asks for the component's code."""
        return gr.Image.get_component_class_id()
