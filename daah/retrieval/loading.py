"""Loading of the retriever that app and command line use: model, detector and gallery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daah.detection.detector import FaceDetector
from daah.errors import CheckpointError, GalleryError
from daah.gallery import Gallery, build, delete_outdated, provenance, renew
from daah.gallery.location import known_gallery
from daah.models.encoder import FaceEncoder, load_encoder
from daah.paths import BUILT_IN, PATHS
from daah.retrieval.retriever import FaceRetriever, Progress, silent
from daah.types import ALIGNMENT

DEFAULT_CHECKPOINT = PATHS.checkpoint
DEFAULT_GALLERY = PATHS.gallery


def load_default_encoder(checkpoint: Path | None = None) -> FaceEncoder:
    """Load the encoder of a checkpoint.

    Args:
        checkpoint: the file; None is the shipped checkpoint (see `daah.paths`).

    Returns:
        The encoder.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if checkpoint is None and not DEFAULT_CHECKPOINT.is_file():
        raise CheckpointError(
            f"The model {DEFAULT_CHECKPOINT} is missing. Put demo.onnx of the repository's "
            "folder checkpoints there, or name a model with --checkpoint or DAAH_CHECKPOINT."
        )
    return load_encoder(Path(checkpoint or DEFAULT_CHECKPOINT))


def load_retriever(
    checkpoint: Path | None = None,
    gallery: str | None = None,
    progress: Progress = silent,
    *,
    folder: Path | None = None,
    read_only: bool = False,
) -> FaceRetriever:
    """Load the retriever that app and command line use.

    Args:
        checkpoint: the model; None is the shipped one (see `daah.paths`).
        gallery: as of `Gallery.open`; it must exist. None is the default gallery (see
            `daah.paths`). That one, "congress" and "orl" are built when they are missing,
            unfinished or aligned by an older template, and encoded again from their aligned faces
            when they are of another model. "lfw" is built by a command, or by the app.
        progress: called with the share of the work that is done, in [0, 1], and the step.
        folder: folder of the faces for a gallery whose codes are on a server.
        read_only: whether writing to the gallery is refused.

    Returns:
        The retriever; its gallery is to be closed by the caller.

    Raises:
        CheckpointError: the model is missing or damaged.
        DataError: the photos of a built-in gallery are missing.
        GalleryError: the gallery is missing, unfinished, damaged or of another model.
    """
    progress(0.0, "Loading the model")
    encoder = load_default_encoder(checkpoint)
    detector = FaceDetector()
    named = DEFAULT_GALLERY if gallery is None else Path(known_gallery(gallery))
    if named.name in ("congress", "orl") and (gallery is None or gallery in BUILT_IN):
        opened = _builtin_gallery(named, named.name, detector, encoder, progress, read_only)
    else:
        gallery = str(named) if gallery is None else known_gallery(gallery)
        opened = Gallery.open(
            gallery,
            encoder,
            read_only=read_only,
            create=False,
            folder=folder,
            progress=lambda done, total, text: progress(done / total, text),
        )
        try:
            opened.require_complete()
        except GalleryError:
            opened.close()
            raise
    progress(1.0, "Ready")
    return FaceRetriever(detector, encoder, opened)


@dataclass(frozen=True)
class Awaited:
    """A gallery that takes too long to build for a page to wait for it.

    Attributes:
        name: what it is called.
        build: builds or finishes it, and opens it; called with a `Progress`.
    """

    name: str
    build: Callable[[Progress], Gallery]


def load_for_page(
    progress: Progress = silent, read_only: bool = False, gallery: str | None = None
) -> tuple[FaceRetriever, Awaited | None]:
    """Load the retriever that a page starts with.

    It searches one gallery. If that is "lfw" and not built yet, which takes a download and many
    minutes, it searches the built-in one in the meantime.

    Args:
        progress: as of `load_retriever`.
        read_only: as of `load_retriever`.
        gallery: as of `load_retriever`.

    Returns:
        The retriever, and the gallery that the page is to build and then to search instead; None
        when there is none.

    Raises:
        DaahError: as of `load_retriever`.
    """
    if gallery not in (None, "lfw"):
        return load_retriever(gallery=gallery, progress=progress, read_only=read_only), None
    folder = DEFAULT_GALLERY if gallery is None else Path(known_gallery(gallery))
    encoder = load_default_encoder()
    known = provenance.read(folder)
    made_with = (known.fingerprint, known.alignment, known.complete) if known else None
    if folder.name != "lfw" or made_with == (encoder.fingerprint, ALIGNMENT, True):
        return load_retriever(gallery=gallery, progress=progress, read_only=read_only), None
    retriever = load_retriever(gallery=BUILT_IN[0], progress=progress, read_only=read_only)
    detector = retriever.detector
    return retriever, Awaited(
        "Labeled Faces in the Wild",
        lambda report: _builtin_gallery(folder, "lfw", detector, encoder, report, read_only),
    )


def _builtin_gallery(
    folder: Path,
    source: str,
    detector: FaceDetector,
    encoder: FaceEncoder,
    report: Progress,
    read_only: bool,
) -> Gallery:
    delete_outdated(folder, source)
    if Gallery.exists(folder):
        renew(
            str(folder),
            encoder,
            lambda done, total, text: report(done / max(total, 1), "Encoding the gallery again"),
        )
        opened = Gallery.open(str(folder), encoder, read_only=read_only)
        if opened.provenance.complete:
            return opened
        opened.close()
    writable = Gallery.open(str(folder), encoder)
    build(
        writable,
        source,
        detector,
        encoder,
        lambda done, total, text: report(done / max(total, 1), f"Building the gallery: {text}"),
    )
    if not read_only:
        return writable
    writable.close()
    return Gallery.open(str(folder), encoder, read_only=True)
