"""What a visit needs on every tab: addresses of tabs and examples, the first steps, the terms."""

from __future__ import annotations

import json
from html import escape

from daah.ui.page.examples import EXAMPLES, PAIRS, WITH_FACES
from daah.ui.page.terms import definitions

#: Titles of the tabs by the names in their addresses: `?tab=compare`.
TABS = {
    "search": "Search",
    "compare": "Compare",
    "live": "Live",
    "gallery": "Gallery",
    "methods": "Methods",
    "quality": "How good is it",
    "about": "About",
}

#: Of the tabs with examples: where they are drawn, and their names: `?example=grayscale`.
_OFFERED = {
    "search": ("#examples", tuple(e.name for e in EXAMPLES)),
    "compare": ("#pairs", tuple(p.name for p in PAIRS)),
    "methods": ("#methods-examples", tuple(e.name for e in WITH_FACES)),
}

_STEPS = (
    ("Photo.", "Give a photo with a face, or choose an example."),
    ("Mask.", "The network decides which parts of the face it keeps: the bright ones."),
    (
        "Bits.",
        "It computes {bits} bits from them. The person whose bits agree most is the answer.",
    ),
)


def parts(bits: int) -> str:
    """Everything that belongs to the page as a whole, as HTML; its scripts are the header's."""
    addresses = {}
    for name, title in TABS.items():
        place, examples = _OFFERED.get(name, ("", ()))
        addresses[name] = {"title": title, "place": place, "examples": examples}
    walked = "".join(
        f"<p data-step hidden><b>{i} of {len(_STEPS)}: {title}</b> {text.format(bits=bits)}</p>"
        for i, (title, text) in enumerate(_STEPS, 1)
    )
    return (
        f'<div data-addresses="{escape(json.dumps(addresses))}">'
        '<p id="address-note" class="say bad" role="status" hidden></p>'
        f'<div id="steps" role="group" aria-label="How it works, in three steps" hidden>{walked}'
        '<button type="button" class="small" data-steps="next">Next</button>'
        '<button type="button" class="small" data-steps="dismiss">Dismiss</button></div>'
        f"{definitions()}</div>"
    )
