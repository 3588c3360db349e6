"""The "How good is it" tab: what was measured, and plainly what was not."""

from __future__ import annotations

import base64
from html import escape

from daah.ui import quality
from daah.ui.desk import Desk
from daah.ui.parts import part
from daah.ui.quality import Picture, Section, Table
from daah.ui.render import heading

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


class QualityTab:
    """Builds the tab inside the current Blocks."""

    def __init__(self, desk: Desk) -> None:
        encoder = desk.retriever.encoder
        found = quality.sections(encoder)
        intro = (
            '<p class="hint">Every figure below is read from the checkpoint or from a report that '
            "a command of this project wrote; each names its source. Figures are shares between 0 "
            "and 1 unless they say otherwise.</p>"
        )
        about = (
            f"<details><summary>About this checkpoint: {escape(encoder.name)}</summary>"
            f"{_table(quality.about_checkpoint(encoder))}</details>"
        )
        part("quality", intro + "".join(_section(s) for s in found) + about)


def _section(section: Section) -> str:
    body = "".join(_picture(p) for p in section.pictures)
    body = f'<div class="figures">{body}</div>' if body else ""
    body += "".join(_table(t) for t in section.tables)
    if not section.tables and not section.pictures:
        body = (
            f'<p class="missing">Not measured yet for this checkpoint '
            f"({escape(section.missing)}).</p>"
        )
    return (
        f"<section>{heading(section.title, 'q-' + section.title.split()[0].lower())}"
        f'<p class="hint">{escape(section.question)}</p>{body}</section>'
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    kind = _TYPES[picture.path.suffix]
    return (
        f'<figure><img alt="{escape(picture.alt)}" src="data:{kind};base64,{data}">'
        f"<figcaption>{escape(picture.alt)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(table.columns) else ""
    source = f" Source: {escape(table.source)}." if table.source else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table>{head}<tbody>{rows}</tbody></table></div>"
        f'<p class="hint">{escape(table.note)}{source}</p>'
    )
