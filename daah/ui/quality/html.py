"""Sections of measured figures as HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

from PIL import Image

from daah.ui.page.html import heading
from daah.ui.quality.reports import Picture, Section
from daah.ui.quality.tables import Table

#: Rows from which on a table is looked up rather than read: a picture above it says the same.
LONG = 14

#: Where a figure's file is for the page.
Address = Callable[[Path], str]


def section(found: Section, address: Address) -> str:
    """A question, folded, with its figures and tables, or with the sentence that there are none.

    Args:
        found: What is known.
        address: Gives the address of a figure's file.

    Returns:
        HTML.
    """
    body = "".join(_picture(p, address) for p in found.pictures)
    body = f'<div class="figures">{body}</div>' if body else ""
    body += _tables(found.tables)
    if not found.tables and not found.pictures:
        body = (
            f'<p class="missing">Not measured yet for this checkpoint '
            f"({escape(found.missing)}).</p>"
        )
    name = "".join(c if c.isalnum() else "-" for c in found.title.lower())
    return (
        f'<section><details name="quality"><summary>{heading(found.title, f"q-{name}")}</summary>'
        f'<p class="hint">{escape(found.question)}</p>{body}</details></section>'
    )


def comparison(found: Section, address: Address) -> str:
    """The comparison of methods: the first table, the curves, then the other tables, folded.

    Args:
        found: What is known.
        address: Gives the address of a figure's file.

    Returns:
        HTML.
    """
    if not found.tables:
        return section(found, address)
    pictures = "".join(_picture(p, address) for p in found.pictures)
    first, *rest = found.tables
    folded = "".join(_folded(t) for t in rest)
    return (
        f"<section>{heading(found.title, 'm-measured')}"
        f'<p class="hint">{escape(found.question)}</p>{table(first)}'
        f'<div class="figures">{pictures}</div>{folded}</section>'
    )


def _tables(tables: tuple[Table, ...]) -> str:
    """Tables below each other. Long ones are folded, and after the first those with a title."""
    return "".join(
        _folded(t) if len(t.rows) > LONG or (i and t.title) else table(t)
        for i, t in enumerate(tables)
    )


def _folded(given: Table) -> str:
    summary = given.title or ", ".join([given.columns[0], given.note.split(". ")[0].rstrip(".")])
    return (
        f"<details><summary>{escape(summary)}</summary>{table(replace(given, title=''))}</details>"
    )


def _picture(picture: Picture, address: Address) -> str:
    wide = ' class="wide"' if picture.wide else ""
    size = ""
    if picture.path.suffix == ".png":  # so that the page does not jump when it arrives
        with Image.open(picture.path, formats=["PNG"]) as opened:
            size = f' width="{opened.width}" height="{opened.height}"'
    address_of = escape(address(picture.path))
    # On a phone its letters are small: by itself it can be enlarged.
    return (
        f'<figure{wide}><a href="{address_of}" target="_blank"><img alt="{escape(picture.alt)}" '
        f'src="{address_of}"{size} loading="lazy"></a>'
        f"<figcaption>{escape(picture.alt)}</figcaption></figure>"
    )


def table(given: Table) -> str:
    """A table that scrolls sideways on a phone, its note below."""
    # A header without words is no header to a screen reader.
    head = "".join(f'<th scope="col">{escape(c)}</th>' if c else "<td></td>" for c in given.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in given.rows
    )
    title = f"<h3>{escape(given.title)}</h3>" if given.title else ""
    head = f"<thead><tr>{head}</tr></thead>" if any(given.columns) else ""
    # Regions need names of their own, and one report may fill several tables.
    span = f"{given.rows[0][0]} to {given.rows[-1][0]}." if given.rows else ""
    name = escape(" ".join(f"Table. {given.title} {span} {given.note}".split()))
    return (
        f'{title}<div class="scroll" tabindex="0" role="region" aria-label="{name}">'
        f"<table>{head}<tbody>{rows}</tbody></table></div>"
        f'<p class="hint">{escape(given.note)}</p>'
    )
