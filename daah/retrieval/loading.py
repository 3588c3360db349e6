"""Loading of the retriever that app and command line use: model, detector and gallery."""

from __future__ import annotations

from pathlib import Path

from daah.detection.detector import FaceDetector
from daah.errors import CheckpointError, GalleryError
from daah.gallery import Gallery, build, delete_outdated, renew
from daah.models.encoder import FaceEncoder, load_encoder
from daah.paths import PATHS
from daah.retrieval.retriever import FaceRetriever, Progress, silent

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
        gallery: as of `Gallery.open`; it must exist. None is the built-in gallery. That one is
            built when it is missing, unfinished or aligned by an older template, and encoded again
            from its thumbnails when it is of another model.
        progress: called with the share of the work that is done, in [0, 1], and the step.
        folder: folder of the faces for a gallery whose codes are on a server.
        read_only: whether writing to the gallery is refused.

    Returns:
        The retriever; its gallery is to be closed by the caller.

    Raises:
        CheckpointError: the model is missing or damaged.
        DataError: the photos of the built-in gallery are missing.
        GalleryError: the gallery is missing, unfinished, damaged or of another model.
    """
    progress(0.0, "Loading the model")
    encoder = load_default_encoder(checkpoint)
    detector = FaceDetector()
    if gallery is None:
        opened = _builtin_gallery(DEFAULT_GALLERY, detector, encoder, progress, read_only)
    else:
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


def _builtin_gallery(
    folder: Path,
    detector: FaceDetector,
    encoder: FaceEncoder,
    report: Progress,
    read_only: bool,
) -> Gallery:
    delete_outdated(folder, "orl")
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
        "orl",
        detector,
        encoder,
        lambda done, total, text: report(done / max(total, 1), f"Building the gallery: {text}"),
    )
    if not read_only:
        return writable
    writable.close()
    return Gallery.open(str(folder), encoder, read_only=True)
