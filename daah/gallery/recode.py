"""Encoding of a gallery by another model, from its aligned faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from daah.detection.alignment import aligned_face
from daah.errors import GalleryError
from daah.gallery import location
from daah.gallery import provenance as provenance_file
from daah.gallery.gallery import MAP, Gallery, all_logits, packed_codes
from daah.gallery.location import codes_file
from daah.gallery.thumbnails import Thumbnails
from daah.models.encoder import FaceEncoder, encode_many
from daah.parallel import Progress
from daah.stores.base import CodeSpec, CodeStore, Meta
from daah.stores.factory import open_store

_BATCH = 256

#: Maximum number of faces of a variant; encoding more takes more than minutes.
MOST_FACES = 50_000
_VARIANT_BATCH = 64


def renew(uri: str | Path, encoder: FaceEncoder, progress: Progress | None = None) -> bool:
    """Encode a gallery again by another model; old codes are kept until the new are complete.

    Args:
        uri: folder of the gallery.
        encoder: the new model.
        progress: called with entries done, their number, and a person's name.

    Returns:
        Whether it was necessary; False if the codes are of this model already.

    Raises:
        GalleryError: the gallery is missing, damaged, of another alignment or on a server (copy
            that one instead), or changed meanwhile.
    """
    home = location.gallery_folder(str(uri), None)
    old = provenance_file.read(home)
    if old is None:
        raise GalleryError(f"There is no gallery {home.name} to encode again.")
    if (old.fingerprint, old.bits) == (encoder.fingerprint, encoder.bits):
        return False
    provenance_file.check_alignment(home, old)
    if location.is_server(old.codes):
        raise GalleryError(
            f"The gallery {home.name} is on a server; copy it to a new collection instead."
        )
    new = dataclasses.replace(
        location.provenance_at(str(home), encoder, old.source, old.credit),
        complete=old.complete,
        photos=old.photos,
        skipped=old.skipped,
    )
    faces = Thumbnails(home / "faces")
    # An interrupted renewal leaves codes that are incomplete or of another model.
    location.delete_codes(home, new.codes)
    before = location.open_codes(home, old, read_only=False)
    after = location.open_codes(home, new, read_only=False)
    try:
        total, done = before.count(), 0
        for rows in before.scan(batch=_BATCH):
            images = [aligned_face(faces.read(int(id_))) for id_ in rows.ids]
            encoded = encode_many(encoder, images)
            after.upsert(rows.ids, packed_codes(encoded), rows.meta, all_logits(encoded))
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
    location.delete_codes(home, old.codes)
    return True


def open_variant(
    gallery: Gallery, encoder: FaceEncoder, progress: Progress | None = None
) -> Gallery:
    """Open the gallery with codes of another model, read-only; missing codes are computed.

    Args:
        gallery: the gallery.
        encoder: the other model.
        progress: called with faces encoded, their number, and a person's name.

    Returns:
        A gallery with the same faces, to be closed by the caller.

    Raises:
        GalleryError: the gallery has more than MOST_FACES faces, or the codes cannot be written
            beside it or are being written by another process.
    """
    total = gallery.count()
    if total > MOST_FACES:
        raise GalleryError(
            f"The gallery {gallery.name} has {total:,} faces; encoding more than {MOST_FACES:,} "
            f"for {encoder.name} takes too long here. Build one with: python -m daah gallery "
            "build SRC --gallery FOLDER --checkpoint FILE"
        )
    known = dataclasses.replace(
        gallery.provenance,
        codes=codes_file(encoder),
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        bits=encoder.bits,
    )
    spec = CodeSpec(encoder.bits, encoder.fingerprint, known.alignment)
    uri = f"sqlite:{gallery.folder / known.codes}"
    store = open_store(uri, spec)
    try:
        _bring_up_to_date(gallery, encoder, store, progress or (lambda done, total, text: None))
    finally:
        store.close()
    return Gallery(open_store(uri, spec, read_only=True), gallery.folder, known, read_only=True)


def _bring_up_to_date(
    gallery: Gallery, encoder: FaceEncoder, store: CodeStore, progress: Progress
) -> None:
    coded = _metas(store)
    wanted = _metas(gallery.store)
    gone = [id_ for id_ in coded if id_ not in wanted]
    if gone:
        store.remove(np.array(gone, np.int64))
    missing = [id_ for id_, meta in wanted.items() if coded.get(id_) != meta]
    for start in range(0, len(missing), _VARIANT_BATCH):
        part = missing[start : start + _VARIANT_BATCH]
        progress(start, len(missing), wanted[part[0]].person)
        faces = encode_many(encoder, [aligned_face(gallery.thumbnail(id_)) for id_ in part])
        metas = [wanted[id_] for id_ in part]
        store.upsert(np.array(part, np.int64), packed_codes(faces), metas, all_logits(faces))
    progress(len(missing), len(missing), "")


def _metas(store: CodeStore) -> dict[int, Meta]:
    """Meta of each row by id, with the name that is shown. A replaced face has another time."""
    return {
        id_: dataclasses.replace(meta, name=meta.shown)
        for rows in store.scan()
        for id_, meta in zip(rows.ids.tolist(), rows.meta, strict=True)
    }
