"""Encoding of a gallery by another model or with another key, from its aligned faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from daah.detection.alignment import aligned_face
from daah.errors import GalleryError
from daah.gallery import location, rekeying
from daah.gallery import provenance as provenance_file
from daah.gallery.gallery import MAP, Gallery, all_logits, packed_codes
from daah.gallery.location import codes_file
from daah.gallery.provenance import Provenance
from daah.gallery.thumbnails import Thumbnails
from daah.keys import GalleryKey, Secret, new_key, operator_secret, unlock
from daah.models.encoder import Encoder, FaceEncoder, encode_many
from daah.models.keyed import KeyedEncoder, unkeyed
from daah.parallel import Progress
from daah.stores.base import CodeSpec, CodeStore, Meta
from daah.stores.factory import open_store

_BATCH = 256

#: Maximum number of faces of a variant; encoding more takes more than minutes.
MOST_FACES = 50_000
_VARIANT_BATCH = 64


def renew(
    uri: str | Path,
    encoder: FaceEncoder,
    progress: Progress | None = None,
    secret: Secret | None = None,
) -> bool:
    """Encode a gallery again by another model; old codes are kept until the new are complete.

    Args:
        uri: folder of the gallery.
        encoder: the new model.
        progress: called with entries done, their number, and a person's name.
        secret: for a gallery with a key; None takes what the environment names.

    Returns:
        Whether it was necessary; False if the codes are of this model already.

    Raises:
        GalleryError: the gallery is missing, damaged, of another alignment or on a server (copy
            that one instead), or changed meanwhile.
        KeyMissingError: the gallery has a key, and none was given.
        KeyMismatchError: it was made with another key.
    """
    home = location.gallery_folder(str(uri), None)
    old = _provenance(home)
    model = unkeyed(encoder)
    if (old.fingerprint, old.bits) == (model.fingerprint, model.bits):
        return False
    if location.is_server(old.codes):
        raise GalleryError(
            f"The gallery {home.name} is on a server; copy it to a new collection instead."
        )
    key = unlock(old.key, secret or operator_secret(), home.name) if old.key else None
    new = _successor(old, str(home), model, old.key)
    # An interrupted renewal leaves codes that are incomplete or of another model.
    location.delete_codes(home, new.codes)
    _encode_again(home, old, new, _with_key(model, key), str(home), progress)
    location.delete_codes(home, old.codes)
    return True


def rekey(
    uri: str | Path,
    encoder: FaceEncoder,
    secret: Secret | None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> None:
    """Give a gallery another key by encoding its aligned faces again; the old key is not needed.

    The old codes are kept until the new ones are complete. Then they are deleted, with everything
    that can be undone and with codes of other models. On a server the new codes are a collection of
    their own, which the gallery's folder names; nobody else may write meanwhile.

    Args:
        uri: URI of the gallery.
        encoder: the model of the new codes.
        secret: the new secret, or the present one for other codes; None leaves the gallery without
            a key.
        progress: called with entries done, their number, and a person's name.
        folder: folder of the faces for codes on a server; None is gallery/<collection>.

    Raises:
        GalleryError: the gallery is missing, damaged or of another alignment, or changed meanwhile.
    """
    uri = str(uri)
    home = location.gallery_folder(uri, folder)
    old = _provenance(home)
    if not location.is_server(old.codes):
        # Whoever writes to the gallery has it locked; nothing of theirs is touched.
        location.open_codes(home, old, read_only=False).close()
    rekeying.finish(home, uri)
    model = unkeyed(encoder)
    key = None if secret is None else new_key(secret)
    place = location.rekeyed_uri(old.codes) if location.is_server(old.codes) else str(home)
    new = _successor(old, place, model, "" if key is None else key.record)
    if new.codes_fingerprint == old.codes_fingerprint:
        raise GalleryError(f"The gallery {home.name} has no key that could be taken away.")
    rekeying.begin(home, old, new)
    _encode_again(home, old, new, _with_key(model, key), uri, progress)
    rekeying.finish(home, uri)


def _provenance(home: Path) -> Provenance:
    known = provenance_file.read(home)
    if known is None:
        raise GalleryError(f"There is no gallery {home.name} to encode again.")
    provenance_file.check_alignment(home, known)
    return known


def _successor(old: Provenance, place: str, model: Encoder, key: str) -> Provenance:
    return dataclasses.replace(
        location.provenance_at(place, model, old.source, old.credit, key),
        complete=old.complete,
        photos=old.photos,
        skipped=old.skipped,
    )


def _with_key(model: Encoder, key: GalleryKey | None) -> Encoder:
    return model if key is None else KeyedEncoder(model, key)


def _encode_again(
    home: Path,
    old: Provenance,
    new: Provenance,
    encoder: Encoder,
    uri: str,
    progress: Progress | None,
) -> None:
    """Encode the faces of `old` as `new`, and make the gallery that."""
    faces = Thumbnails(home / "faces")
    before = location.open_codes(home, old, read_only=False, uri=uri)
    try:
        after = location.open_codes(home, new, read_only=False, uri=uri)
    except BaseException:  # an interrupt must release the writer's lock too
        before.close()
        raise
    try:
        total, done = before.count(), 0
        for rows in before.scan(batch=_BATCH):
            images = [aligned_face(faces.read(int(id_))) for id_ in rows.ids]
            encoded = encode_many(encoder, images)
            after.upsert(rows.ids, packed_codes(encoded), rows.meta, all_logits(encoded))
            done += len(rows.ids)
            if progress:
                progress(done, total, rows.meta[-1].person)
        after.flush()
        if not before.count() == after.count() == total:
            raise GalleryError(f"The gallery {home.name} changed meanwhile; try again.")
        (home / MAP).unlink(missing_ok=True)
        provenance_file.write(home, new)
    finally:
        after.close()
        before.close()


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
    encoder = gallery.encoder(encoder)
    known = dataclasses.replace(
        gallery.provenance,
        codes=codes_file(encoder.fingerprint),
        model=encoder.name,
        fingerprint=unkeyed(encoder).fingerprint,
        bits=encoder.bits,
    )
    spec = CodeSpec(encoder.bits, encoder.fingerprint, known.alignment)
    uri = f"sqlite:{gallery.folder / known.codes}"
    store = open_store(uri, spec)
    try:
        _bring_up_to_date(gallery, encoder, store, progress or (lambda done, total, text: None))
    finally:
        store.close()
    stored = open_store(uri, spec, read_only=True)
    return Gallery(stored, gallery.folder, known, read_only=True, key=gallery.key)


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
