"""The API's documentation as a page without scripts and without a file of another host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from daah.ui.rest.requests import FORM, JSON
from daah.ui.server.api_errors import API

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8882}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{margin-bottom:0}h2{margin-top:2.5rem;text-transform:capitalize}
section{border:1px solid var(--line);border-radius:.5rem;padding:0 1rem 1rem;margin:1rem 0}
h3 code{font-size:1rem}h3 b{display:inline-block;min-width:4rem}
pre,code{font-family:ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;border-radius:.4rem;overflow:auto}
table{border-collapse:collapse;width:100%}h3 code,td:last-child{overflow-wrap:anywhere}
td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
nav a{margin-right:1rem}
"""

_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


#: How a kind of body is called in a table.
_PLACES = {FORM: "form", JSON: "JSON"}


def add_page(api: FastAPI) -> None:
    """Serve the documentation at /docs.

    Args:
        api: the API.
    """

    @api.get("/docs", include_in_schema=False)
    async def docs(_: Request) -> Response:
        return HTMLResponse(
            page(api.openapi()),
            headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"},
        )


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document.

    Args:
        document: the document.

    Returns:
        HTML.
    """
    about = document["info"]
    groups: dict[str, list[str]] = {"faces": [], "people": [], "photos": []}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            groups[route["tags"][0]].append(_route(document, path, method, route))
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups)
    body = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(routes)}'
        for tag, routes in groups.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(about['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(about['title'])}</h1><p>{escape(about['description'])}</p>"
        f'<nav>{links}<a href="openapi.json">openapi.json</a></nav>{body}</body></html>'
    )


def _route(document: dict[str, Any], path: str, method: str, route: dict[str, Any]) -> str:
    answers = [
        (status, kind["schema"])
        for status, answer in route["responses"].items()
        if status.startswith("2")
        for kind in answer.get("content", {}).values()
        if "schema" in kind
    ]
    shown = "".join(
        f"<p>Answer {escape(status)}:</p><pre>"
        f"{escape(json.dumps(example(document, schema), indent=2, ensure_ascii=False))}</pre>"
        for status, schema in answers
    )
    lock = "<p>Needs the server's token.</p>" if route.get("security") else ""
    return (
        f"<section><h3><b>{method.upper()}</b> <code>{escape(API + path)}</code> "
        f"{escape(route['summary'])}</h3><p>{_prose(route['description'])}</p>{lock}"
        f"{_fields(document, route)}{shown}</section>"
    )


def _fields(document: dict[str, Any], route: dict[str, Any]) -> str:
    rows = [
        (p["name"], p["in"], p["required"], p.get("description", ""), p["schema"])
        for p in route.get("parameters", ())
    ]
    content = route.get("requestBody", {}).get("content", {})
    for kind, body in content.items():
        schema = resolved(document, body["schema"])
        needed = schema.get("required", ())
        rows += [
            (name, _PLACES[kind], name in needed, field.get("description", ""), field)
            for name, field in schema.get("properties", {}).items()
        ]
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td>"
        f"<td>{'needed' if needed else ''}</td>"
        f"<td>{_prose(text)} {escape(_range(schema))}</td></tr>"
        for name, place, needed, text, schema in rows
    )
    return f"<table><tr><th>name<th>in<th><th>meaning</tr>{cells}</table>"


def _prose(text: str) -> str:
    """Text as HTML, whose words between backticks are code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _range(schema: dict[str, Any]) -> str:
    least, most, start = (schema.get(key) for key in ("minimum", "maximum", "default"))
    limits = f"{least} to {most}." if least is not None and most is not None else ""
    preset = f"Default: {json.dumps(start)}." if start not in (None, "") else ""
    return f"{limits} {preset}".strip()


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where there is only a reference to it.

    Args:
        document: the OpenAPI document.
        schema: a schema of it.

    Returns:
        The schema.
    """
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that a schema allows, made of the examples in it.

    Args:
        document: the OpenAPI document.
        schema: a schema of it.

    Returns:
        Plain JSON values.
    """
    schema = resolved(document, schema)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema or "default" in schema:
        return schema.get("const", schema.get("default"))
    if "anyOf" in schema:
        return example(document, schema["anyOf"][0])
    if schema.get("type") == "object":
        return dict(_members(document, schema))
    if schema.get("type") == "array":
        return [example(document, schema["items"])]
    return {"string": "", "integer": 0, "number": 0.0, "boolean": False}.get(schema.get("type", ""))


def _members(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, field in schema.get("properties", {}).items():
        inner = resolved(document, field)
        # A list is shown with one element, so that its fields are seen.
        if inner.get("type") == "array" and not inner.get("examples"):
            yield name, [example(document, inner["items"])]
        else:
            yield name, example(document, field)
