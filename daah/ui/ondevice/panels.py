"""What the page draws for the engine in the browser; modules of `static` do the rest."""

from __future__ import annotations

from html import escape

import gradio as gr

from daah.ui.ondevice.files import DeviceFiles
from daah.ui.page.components import static
from daah.ui.page.examples import EXAMPLES
from daah.ui.page.html import data_uri, square


def add_switch(files: DeviceFiles, code_bytes: int) -> gr.HTML:
    """The switch "On this device", on top of the page; it can be turned once its module is there.

    Args:
        files: the engine's files.
        code_bytes: length of the whole code.

    Returns:
        The component, in the current Blocks.
    """
    return _panel(
        "device",
        f'<div class="switch" data-module="switch.js" data-base="{files.base}" '
        f'data-bytes="{code_bytes}"><label><input type="checkbox" role="switch" disabled> '
        'On this device</label><span data-words role="status"></span>'
        '<button type="button" class="small" data-again hidden>Try again</button></div>',
    )


def add_search(files: DeviceFiles) -> gr.HTML:
    """Search on the device; it is shown while the switch is on.

    Args:
        files: the engine's files.

    Returns:
        The component, in the current Blocks.
    """
    made = "".join(
        f'<button type="button" class="example" data-example="{escape(e.file)}" '
        f'data-name="{e.name}"><img alt="{escape(e.alt)}" src="{data_uri(square(e.read()))}">'
        f"<span>{escape(e.label)}</span></button>"
        for e in EXAMPLES
    )
    return _panel(
        "device-search",
        f'<div data-module="search.js" data-base="{files.base}"><p class="hint">Or try an example:'
        f'</p><div class="examples" role="group" aria-label="Examples">{made}</div></div>',
    )


def add_compare(files: DeviceFiles) -> gr.HTML:
    """Compare on the device; it is shown while the switch is on.

    Args:
        files: the engine's files.

    Returns:
        The component, in the current Blocks.
    """
    text = f'<div data-module="compare.js" data-base="{files.base}"></div>'
    return _panel("device-compare", text)


def add_note(elem_id: str, text: str) -> gr.HTML:
    """Why a field of another tab is not there while the switch is on.

    Args:
        elem_id: id of the note in the page.
        text: the sentence.

    Returns:
        The component, in the current Blocks.
    """
    return gr.HTML(
        f'<p class="say">{escape(text)}</p>',
        elem_id=elem_id,
        elem_classes=["part", "device-note"],
        apply_default_css=False,
    )


def _panel(elem_id: str, text: str) -> gr.HTML:
    return gr.HTML(
        text,
        elem_id=elem_id,
        elem_classes="part",
        js_on_load=static("ondevice/mount.js"),
        apply_default_css=False,
    )
