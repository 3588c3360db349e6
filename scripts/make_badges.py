"""Draws the README's badges, from what the project's own files say.

    python -m scripts.make_badges

The tests fail where a badge says anything else than these files do.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images"

#: Pixels per character of the badge's font, and beside a text.
_WIDTH, _SPACE = 6.6, 12

_BLUE, _GREEN = "#0b5fa5", "#2b7a35"

_TEMPLATE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" \
aria-label="{name}: {value}">
<title>{name}: {value}</title>
<rect width="{width}" height="20" rx="3" fill="#444"/>
<path d="M{left} 0h{rest}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{rest}z" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{middle}" y="14">{name}</text>
<text x="{second}" y="14">{value}</text>
</g>
</svg>
"""


def badge(name: str, value: str, colour: str) -> str:
    """A badge as SVG.

    Args:
        name: its left part; without characters that XML reserves.
        value: its right part, likewise.
        colour: of the right part.

    Returns:
        The file's text.
    """
    left, right = (round(_WIDTH * len(text)) + _SPACE for text in (name, value))
    return _TEMPLATE.format(
        name=name,
        value=value,
        colour=colour,
        width=left + right,
        left=left,
        rest=right - 3,
        middle=left / 2,
        second=left + right / 2,
    )


def badges() -> dict[str, str]:
    """Every badge by its file's name.

    Returns:
        Texts of the files.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    start = "Programming Language :: Python :: "
    versions = [c.removeprefix(start) for c in project["classifiers"] if c.startswith(start)]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    paper = cited["preferred-citation"]["collection-title"].partition(":")[0]
    return {
        "badge-python.svg": badge("python", " | ".join(versions), _BLUE),
        "badge-license.svg": badge("license", project["license"], _GREEN),
        "badge-paper.svg": badge("paper", paper, _BLUE),
    }


def main() -> None:
    """Write every badge."""
    for name, text in badges().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
