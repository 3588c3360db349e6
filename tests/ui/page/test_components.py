"""The picture input."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from gradio.data_classes import ImageData

from daah.ui.page.components import Photo


@pytest.mark.parametrize(
    "content", [b"", b"not a photo", b"\xff\xd8\xff\xe0" + b"0" * 60, b"<svg/>"]
)
def test_an_unreadable_photo_is_a_sentence_without_a_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret-place.jpg"
    path.write_bytes(content)
    with pytest.raises(gr.Error) as caught:
        Photo(render=False).preprocess(ImageData(path=str(path), orig_name="photo.jpg"))
    assert "secret-place" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert Photo(render=False).preprocess(None) is None
    assert Photo(render=False).get_block_name() == "image"
