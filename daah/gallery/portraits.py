"""The built-in gallery, filled from the shipped portraits."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from daah import codes
from daah.data.portraits import load_portraits, read_codes
from daah.detection.alignment import aligned_face
from daah.gallery import map as gallery_map
from daah.gallery.gallery import MAP, Gallery, all_logits
from daah.gallery.map import Projection
from daah.gallery.names import entry_id
from daah.gallery.thumbnails import Thumbnails
from daah.models.encoder import FaceEncoder, encode_many
from daah.models.keyed import KeyedEncoder, unkeyed
from daah.parallel import Progress
from daah.stores.base import Meta

#: Faces that are encoded between two reports of progress.
_BATCH = 32


def portrait_ids(folder: Path | None = None) -> list[int]:
    """Ids of the portraits' entries.

    Args:
        folder: folder of the portraits; None takes the shipped one.

    Returns:
        An id per portrait.

    Raises:
        DataError: the portraits are missing.
    """
    return [entry_id(portrait.id, portrait.photo) for portrait in load_portraits(folder)]


def fill(
    gallery: Gallery,
    encoder: FaceEncoder,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> int:
    """Enrol the portraits, whose faces are aligned already. Nothing is detected.

    Codes that are shipped for this model are taken as they are; for another model the faces are
    encoded. Resumable: portraits that are in the gallery are left alone.

    Args:
        gallery: the gallery.
        encoder: the model of its codes.
        progress: called with faces encoded, their number, and a person's name.
        folder: folder of the portraits; None takes the shipped one.

    Returns:
        Number of portraits that were added.

    Raises:
        DataError: portraits are missing.
        GalleryError: the gallery is read-only, or cannot be written.
    """
    gallery.require_writable()
    portraits = load_portraits(folder)
    files = [portrait.read() for portrait in portraits]
    ids = np.array([entry_id(portrait.id, portrait.photo) for portrait in portraits], np.int64)
    new = np.flatnonzero(~gallery.store.contains(ids))
    faces = Thumbnails(gallery.folder / "faces")
    coder = gallery.encoder(encoder)
    stored = read_codes(files, unkeyed(encoder).fingerprint, folder)
    now = time.time()
    step = max(1, len(new)) if stored else _BATCH
    for start in range(0, len(new), step):
        part = new[start : start + step]
        with gallery.noted("adding", ids[part].tolist()):
            for i in part.tolist():
                faces.place(int(ids[i]), files[i])
            if stored:
                logits = stored.logits[part]
                if isinstance(coder, KeyedEncoder):
                    logits = coder.template(logits)
            else:
                aligned = [aligned_face(faces.read(int(ids[i]))) for i in part]
                logits = all_logits(encode_many(coder, aligned))
            metas = [
                Meta(portraits[i].id, portraits[i].photo, now, portraits[i].name) for i in part
            ]
            gallery.store.upsert(ids[part], codes.from_logits(logits), metas, logits)
        if progress:
            progress(start + len(part), len(new), portraits[part[-1]].name)
    if stored and gallery.key is None and gallery.count() == len(ids):
        packed = codes.from_logits(stored.logits)
        drawn = Projection(ids, stored.xy, packed, coder.fingerprint)
        gallery_map.save(gallery.folder / MAP, drawn)
    return len(new)
