"""Makes the picture of a link's preview and the page's icon, from the shipped example and model.

    python -m scripts.make_preview

Both show public-domain portraits only. Run it again when the model or the first example changes.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from daah.retrieval.loading import load_for_page
from daah.ui.search import actions, card
from daah.ui.search.start_example import load_start_example
from daah.ui.server.preview import PICTURES, TITLE
from daah.ui.state.session import Options

#: Bars of the icon: x and width in 64ths, from left to right.
BARS = ((10, 6), (20, 3), (27, 8), (39, 3), (46, 8))


def icon() -> Image.Image:
    """A barcode on blue, 64x64."""
    drawn = Image.new("RGBA", (64, 64))
    pen = ImageDraw.Draw(drawn)
    pen.rounded_rectangle((0, 0, 63, 63), radius=14, fill="#0072b2")
    for left, wide in BARS:
        pen.rectangle((left, 14, left + wide - 1, 49), fill="#ffffff")
    return drawn


def main() -> None:
    """Write both files."""
    retriever, _ = load_for_page(read_only=True)
    bits = retriever.bits
    options = Options(bits, 8, bits)
    view = actions.look(retriever, load_start_example(retriever), options)
    title = f"{TITLE}: finds a face by {bits // 8} bytes, and shows why"
    PICTURES["/preview.png"].parent.mkdir(exist_ok=True)
    card.draw(view, title).quantize(192).save(PICTURES["/preview.png"], optimize=True)
    icon().save(PICTURES["/favicon.png"], optimize=True)


if __name__ == "__main__":
    main()
