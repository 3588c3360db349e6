"""Sections of measured figures as HTML."""

from __future__ import annotations

import base64
from html import escape

from daah.ui.quality import Picture, Section
from daah.ui.render import heading
from daah.ui.report_tables import Table

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def section(found: Section) -> str:
    """A question with its figures and tables, or with the sentence that there are none."""
    body = "".join(_picture(p) for p in found.pictures)
    body = f'<div class="figures">{body}</div>' if body else ""
    body += "".join(table(t) for t in found.tables)
    if not found.tables and not found.pictures:
        body = (
            f'<p class="missing">Not measured yet for this checkpoint '
            f"({escape(found.missing)}).</p>"
        )
    return (
        f"<section>{heading(found.title, 'q-' + found.title.split()[0].lower())}"
        f'<p class="hint">{escape(found.question)}</p>{body}</section>'
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    kind = _TYPES[picture.path.suffix]
    return (
        f'<figure><img alt="{escape(picture.alt)}" src="data:{kind};base64,{data}">'
        f"<figcaption>{escape(picture.alt)}</figcaption></figure>"
    )


def table(given: Table) -> str:
    """A table that scrolls sideways on a phone, its note and its source below."""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in given.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in given.rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(given.columns) else ""
    source = f" Source: {escape(given.source)}." if given.source else ""
    name = escape(f"Table. {given.note} {given.source}".strip())  # regions need names of their own
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f"<table>{head}<tbody>{rows}</tbody></table></div>"
        f'<p class="hint">{escape(given.note)}{source}</p>'
    )
