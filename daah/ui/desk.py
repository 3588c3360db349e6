"""What all visitors of one server share: the retriever at hand and the settings."""

from __future__ import annotations

from daah.errors import GalleryError
from daah.gallery import Gallery
from daah.projection import Projection
from daah.retrieval import FaceRetriever
from daah.ui.settings import Settings


class Desk:
    """Holds the current retriever. It changes only in a local run, when a gallery is chosen."""

    def __init__(self, retriever: FaceRetriever, settings: Settings) -> None:
        self.retriever = retriever
        self.settings = settings
        self._projection: Projection | None = None

    def projection(self) -> Projection:
        """The map of the gallery at hand, kept from one look to the next; drawn if it never was."""
        if self._projection is None:
            gallery = self.retriever.gallery
            self._projection = gallery.map() or gallery.draw_map()
        return self._projection

    def forget_projection(self) -> None:
        """Read the map anew at the next look."""
        self._projection = None

    def choose(self, uri: str) -> Gallery:
        """Search another gallery from now on; an empty one is made where there is none.

        Raises GalleryError on a public host, and for a gallery that cannot be opened.
        """
        self.require_local()
        if not uri.strip():
            raise GalleryError("Name the gallery's folder, for example gallery/family.")
        now = self.retriever
        gallery = Gallery.open(uri.strip(), now.encoder)
        gallery.require_complete()
        self.retriever = FaceRetriever(now.detector, now.encoder, gallery)
        self.forget_projection()
        return gallery

    def require_local(self) -> None:
        """Raise GalleryError when strangers can reach this server."""
        if self.settings.public:
            raise GalleryError(
                "The gallery of a public page is read-only. Start the project on your own "
                "computer with DAAH_PUBLIC=0 to change it."
            )
