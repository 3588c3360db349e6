"""Colours, fonts and sizes that Gradio's own components take over from us."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, sizes

from daah.ui.server.preview import TITLE as TITLE

#: The one accent: a blue that stays apart from orange with any colour vision (Okabe and Ito).
ACCENT = colors.Color(
    c50="#eef5fb",
    c100="#d8e8f5",
    c200="#b0d0ea",
    c300="#7fb3da",
    c400="#4a93c6",
    c500="#0072b2",
    c600="#00639b",
    c700="#005180",
    c800="#003f64",
    c900="#002e49",
    c950="#001f33",
    name="accent",
)


def theme() -> gr.themes.Base:
    """The page's theme. Fonts are those of the visitor's device: none is fetched."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    ).set(
        body_background_fill="#ffffff",
        body_background_fill_dark="#0e1420",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        button_primary_background_fill="*primary_500",
        button_primary_background_fill_hover="*primary_600",
        button_primary_text_color="#ffffff",
        slider_color="*primary_500",
        slider_color_dark="*primary_400",
    )
