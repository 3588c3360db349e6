"""What all visitors of one server share: the retrievers and the settings.

A visitor chooses by which model they search. The shipped one is named "" and always ready; another
one is made ready when the first visitor asks for it, and then searches the same people.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from daah.comparison.side_by_side import SideBySide
from daah.comparison.small_models import DEFAULT, ComparisonModels, load_models
from daah.detection.alignment import aligned_face
from daah.errors import CheckpointError, DaahError, GalleryError
from daah.gallery import Gallery, SessionGallery, open_variant
from daah.gallery.location import known_gallery
from daah.gallery.map import Projection
from daah.models.encoder import FaceEncoder, load_encoder
from daah.models.keyed import unkeyed
from daah.paths import PATHS
from daah.retrieval import loading
from daah.retrieval.loading import Awaited
from daah.retrieval.retriever import FaceRetriever, Progress, silent
from daah.ui.server.figures import Figures
from daah.ui.settings import Settings

#: The model that the page starts with.
DEFAULT_MODEL = ""


@dataclass(frozen=True, eq=False)
class _Other:
    """A retriever of another model: over which gallery, and as of which generation."""

    retriever: FaceRetriever
    gallery: Gallery
    generation: int

    def is_of(self, gallery: Gallery) -> bool:
        """Whether these are the faces of `gallery` as it stands now."""
        return self.gallery is gallery and self.generation == gallery.store.generation


class AppContext:
    """Holds the retriever. It changes only in a local run, when a gallery is chosen.

    others: checkpoints that a visitor may choose instead, by name. baselines: the file of small
    models that the Methods tab compares.
    """

    def __init__(
        self,
        retriever: FaceRetriever,
        settings: Settings,
        others: Mapping[str, Path] | None = None,
        baselines: Path = DEFAULT,
    ) -> None:
        self.retriever = retriever
        self.settings = settings
        #: What is being built meanwhile, in words; "" for nothing.
        self.note = ""
        self.figures = Figures(PATHS.results)
        self.others = dict(others or {})
        self._baselines = baselines
        self._encoders: dict[str, FaceEncoder] = {}
        self._ready: dict[str, _Other] = {}
        self._projections: dict[str, tuple[Gallery, Projection]] = {}
        self._recoded: WeakKeyDictionary[SessionGallery, dict[str, SessionGallery]] = (
            WeakKeyDictionary()
        )
        self._comparison_models: ComparisonModels | None = None
        self._side_by_side: SideBySide | None = None
        # One for each kind of work that takes long, so that visitors who ask for the same thing
        # wait for it instead of doing it again.
        self._coding, self._comparing = threading.Lock(), threading.Lock()

    def encoder(self, model: str) -> FaceEncoder:
        """The network of a model. Raises CheckpointError when its file is damaged."""
        if model == DEFAULT_MODEL:
            return unkeyed(self.retriever.encoder)
        if model not in self.others:
            raise GalleryError(f"This page has no model named {model!r}.")
        if model not in self._encoders:
            path = self.others[model]
            try:
                self._encoders[model] = load_encoder(path)
            except CheckpointError as problem:  # where on the host, nobody need know
                raise CheckpointError(str(problem).replace(str(path), path.name)) from None
        return self._encoders[model]

    def retriever_for(
        self, model: str = DEFAULT_MODEL, progress: Progress = silent
    ) -> FaceRetriever:
        """The retriever of a model, over the same people; codes them first where needed.

        Raises DaahError when the model or its codes cannot be used.
        """
        if model == DEFAULT_MODEL:
            return self.retriever
        with self._coding:
            now = self.retriever
            held = self._ready.get(model)
            if held is None or not held.is_of(now.gallery):
                held = self._other(model, now, progress)
                self._ready[model] = held
            return held.retriever

    def _other(self, model: str, now: FaceRetriever, report: Progress) -> _Other:
        report(0.0, f"Loading {model}")
        encoder = self.encoder(model)
        generation = now.gallery.store.generation
        coded = open_variant(
            now.gallery,
            encoder,
            lambda done, total, _: report(
                done / max(total, 1), f"Encoding the gallery for {model}: {done:,} of {total:,}"
            ),
        )
        return _Other(FaceRetriever(now.detector, encoder, coded), now.gallery, generation)

    def projection(self, model: str = DEFAULT_MODEL) -> Projection:
        """The map of the gallery by a model, kept from one look to the next.

        Drawn where it never was.
        """
        gallery = self.retriever_for(model).gallery
        held = self._projections.get(model)
        if held is None or held[0] is not gallery:
            held = (gallery, gallery.map() or gallery.draw_map())
            self._projections[model] = held
        return held[1]

    def additions(self, additions: SessionGallery | None, model: str) -> SessionGallery | None:
        """A visitor's additions, which the shipped model coded, as another model codes them.

        Kept for as long as the additions themselves, and no longer.
        """
        if not additions or model == DEFAULT_MODEL:
            return additions
        held = self._recoded.setdefault(additions, {})
        if model not in held:
            held[model] = recode(self.retriever_for(model), additions)
        return held[model]

    def forget_projection(self) -> None:
        """Read the map again when it is next shown."""
        self._projections.clear()

    def comparison_models(self) -> ComparisonModels:
        """The small models of the Methods tab, read once. Raises CheckpointError."""
        if self._comparison_models is None:
            self._comparison_models = load_models(self._baselines)
        return self._comparison_models

    def side_by_side(self, progress: Progress = silent) -> SideBySide:
        """The gallery as every small model codes it; encoded when it changed, and then kept."""
        with self._comparing:
            gallery = self.retriever.gallery
            if self._side_by_side is None or not self._side_by_side.is_of(gallery):
                models = self.comparison_models()
                self._side_by_side = SideBySide(
                    models,
                    gallery,
                    lambda done, total: progress(
                        done / max(total, 1),
                        f"Encoding the gallery by {len(models.names)} methods: "
                        f"{done:,} of {total:,} faces",
                    ),
                )
            return self._side_by_side

    def choose(self, uri: str, create: bool = False) -> Gallery:
        """Search another gallery from now on.

        Args:
            uri: a folder, or the address of a collection.
            create: make an empty gallery where there is none, in a new or an empty folder.

        Returns:
            The gallery, which is open for writing.

        Raises:
            GalleryError: on a public host, and for a gallery that cannot be opened or made.
        """
        self.require_local()
        if not uri.strip():
            raise GalleryError("Name the gallery's folder, for example gallery/family.")
        now = self.retriever
        gallery = Gallery.open(known_gallery(uri.strip()), now.encoder, create=create)
        gallery.require_complete()
        self.retriever = FaceRetriever(now.detector, now.encoder, gallery)
        self.forget_projection()
        return gallery

    def search_when_built(self, awaited: Awaited) -> threading.Thread:
        """Build a gallery in the background, and search it from then on.

        If another gallery was chosen meanwhile, that one stays. An error is noted and ends it.

        Args:
            awaited: the gallery.

        Returns:
            The thread that builds it.
        """
        before = self.retriever

        def report(share: float, text: str) -> None:
            self.note = f"{awaited.name} is being added and will replace it: {text}"

        def work() -> None:
            if hasattr(os, "setpriority"):  # on Linux, of this thread: visitors come first
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
            report(0.0, "getting the photos")
            try:
                gallery = awaited.build(report)
            except DaahError as problem:
                print(f"{awaited.name}: {problem}", file=sys.stderr)
                self.note = f"{awaited.name} could not be added; the server's log says why."
                return
            self.note = ""
            if self.retriever is not before:
                gallery.close()
                return
            self.retriever = FaceRetriever(before.detector, before.encoder, gallery)
            self.forget_projection()

        thread = threading.Thread(target=work, name="gallery", daemon=True)
        thread.start()
        return thread

    def problem(self) -> str:
        """What keeps the server from searching, in a sentence; "" for nothing."""
        try:
            gallery = self.retriever.gallery
            gallery.store.count_people()
            first = next(gallery.entries(batch=1), None)
            if first is not None:
                gallery.thumbnail(first.id)
        except GalleryError as problem:
            return str(problem)
        return ""

    def require_local(self) -> None:
        """Raise GalleryError when strangers can reach this server."""
        if self.settings.public:
            raise GalleryError(
                "The gallery of a public page is read-only. Start the project on your own "
                "computer with DAAH_PUBLIC=0 to change it."
            )


def shipped_others(retriever: FaceRetriever) -> dict[str, Path]:
    """Shipped checkpoints other than the one that is served, by name."""
    folder = loading.DEFAULT_CHECKPOINT.parent
    return {
        path.stem: path
        for path in sorted(folder.glob("*.onnx"))
        if path.stem != retriever.encoder.name
    }


def recode(retriever: FaceRetriever, additions: SessionGallery) -> SessionGallery:
    """A visitor's additions as this retriever's model encodes them."""
    made = SessionGallery()
    for entry in additions.entries():
        (encoded,) = retriever.encode([aligned_face(additions.thumbnail(entry.id))])
        made = made.add(entry.person, entry.photo, encoded, most=len(additions))
    return made
