"""A gallery's codes made again by another model, from its aligned faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from daah import codes
from daah.errors import GalleryError
from daah.gallery import location as places
from daah.gallery import provenance as provenance_file
from daah.gallery.gallery import MAP
from daah.gallery.thumbnails import Thumbnails
from daah.models.encoder import FaceEncoder
from daah.parallel import Progress
from daah.pipeline import aligned_face, encode_many

_BATCH = 256


def renew(uri: str | Path, encoder: FaceEncoder, progress: Progress | None = None) -> bool:
    """Encode a gallery made by another model again, from its faces; False if none is needed.

    The old codes serve until the new ones are complete. Raises GalleryError for a gallery that
    is missing, of another alignment, or not in a folder of its own (copy that one instead).
    """
    home = places.gallery_folder(str(uri), None)
    old = provenance_file.read(home)
    if old is None:
        raise GalleryError(f"There is no gallery {home.name} to encode again.")
    if (old.fingerprint, old.bits) == (encoder.fingerprint, encoder.bits):
        return False
    provenance_file.check_alignment(home, old)
    if places.is_server(old.codes):
        raise GalleryError(
            f"The gallery {home.name} is on a server; copy it to a new collection instead."
        )
    new = dataclasses.replace(
        places.provenance_at(str(home), encoder, old.source, old.credit),
        complete=old.complete,
        photos=old.photos,
        skipped=old.skipped,
    )
    faces = Thumbnails(home / "faces")
    # What a stopped renewal left holds other models' codes or a part: it is worth nothing.
    places.delete_codes(home, new.codes)
    before = places.open_codes(home, old, read_only=False)
    after = places.open_codes(home, new, read_only=False)
    try:
        total, done = before.count(), 0
        for rows in before.scan(batch=_BATCH):
            images = [aligned_face(faces.read(int(id_))) for id_ in rows.ids]
            bits = [face.code.bits for face in encode_many(encoder, images)]
            after.upsert(rows.ids, codes.pack(np.stack(bits)), rows.meta)
            done += len(rows.ids)
            if progress:
                progress(done, total, rows.meta[-1].person)
        if after.count() != total:
            raise GalleryError(f"The gallery {home.name} changed meanwhile; try again.")
        (home / MAP).unlink(missing_ok=True)
        provenance_file.write(home, new)
    finally:
        after.close()
        before.close()
    places.delete_codes(home, old.codes)
    return True
