"""The faces of a gallery with codes of another model, so that the same people can be searched.

Codes of a second model are a file beside the gallery's own codes and share its faces. They can be
computed again at any time: removing an entry of the gallery deletes the file, and opening it brings
it up to date.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from daah import codes
from daah.errors import GalleryError
from daah.gallery.gallery import Gallery
from daah.gallery.location import codes_file
from daah.models.encoder import FaceEncoder
from daah.parallel import Progress
from daah.pipeline import aligned_face, encode_many
from daah.stores.base import CodeSpec, CodeStore, Meta, open_store

#: Faces from which on encoding them again takes more than minutes.
MOST_FACES = 50_000
_BATCH = 64


def open_variant(
    gallery: Gallery, encoder: FaceEncoder, progress: Progress | None = None
) -> Gallery:
    """The gallery's people as `encoder` codes them, read-only; encodes what is not coded yet.

    Raises GalleryError for a gallery of more than MOST_FACES faces, and when the codes cannot be
    written beside it or another program writes them at this moment.
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
    for start in range(0, len(missing), _BATCH):
        part = missing[start : start + _BATCH]
        progress(start, len(missing), wanted[part[0]].person)
        faces = encode_many(encoder, [aligned_face(gallery.thumbnail(id_)) for id_ in part])
        packed = codes.pack(np.stack([face.code.bits for face in faces]))
        store.upsert(np.array(part, np.int64), packed, [wanted[id_] for id_ in part])
    progress(len(missing), len(missing), "")


def _metas(store: CodeStore) -> dict[int, Meta]:
    """Who each row is, and when the face was added: a replaced face has another time."""
    return {
        id_: meta
        for rows in store.scan()
        for id_, meta in zip(rows.ids.tolist(), rows.meta, strict=True)
    }
