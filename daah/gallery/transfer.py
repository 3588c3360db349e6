"""Export of galleries, and copies between stores: JSON Lines, Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from daah import codes
from daah.errors import DataError, GalleryError
from daah.extras import extra_packages
from daah.gallery import map
from daah.gallery.gallery import MAP, Gallery
from daah.gallery.thumbnails import Thumbnails
from daah.parallel import Progress

_BATCH = 1000


def copy(source: Gallery, target: Gallery, progress: Progress | None = None) -> int:
    """Copy all entries of a gallery into another one of the same model.

    Nothing is encoded again. Copies are resumable: entries that exist are left alone. Until it is
    finished the target is marked as incomplete.

    Args:
        source: the gallery to copy.
        target: the gallery to copy into.
        progress: called with entries done, their number, and a person's name.

    Returns:
        Number of entries that were copied.

    Raises:
        GalleryError: the models differ, the source is incomplete, or the target cannot be written.
    """
    source.require_complete()
    if source.provenance.key != target.provenance.key:
        raise GalleryError(
            f"The galleries {source.name} and {target.name} have different keys, so that the codes "
            "of one say nothing in the other. Copy to a new gallery, or add the photos."
        )
    if source.store.spec != target.store.spec:
        raise GalleryError(
            f"The galleries {source.name} and {target.name} are of different models "
            f"({source.store.spec.fingerprint[:12]} and {target.store.spec.fingerprint[:12]}); "
            "codes of two models cannot be mixed."
        )
    held = source.provenance
    empty = target.count() == 0
    if empty or not target.provenance.complete:
        target.describe(source=held.source, credit=held.credit)
    elif target.provenance.source != held.source:
        target.describe(
            source=_joined(target.provenance.source, held.source),
            credit=_joined(target.provenance.credit, held.credit),
        )
    target.describe(complete=False)
    faces, theirs = Thumbnails(target.folder / "faces"), Thumbnails(source.folder / "faces")
    total, done = source.count(), 0
    for rows in source.store.scan(batch=_BATCH, logits=True):
        ids = rows.ids.tolist()
        with target.noted("adding", ids):
            for id_ in ids:
                faces.copy(id_, theirs)
            target.store.upsert(rows.ids, rows.codes, rows.meta, rows.logits)
        done += len(rows.ids)
        if progress:
            progress(done, total, rows.meta[-1].person)
    target.flush()
    drawn = source.map()
    if drawn and target.count() == len(drawn.ids):
        map.save(target.folder / MAP, drawn)
    elif total:
        target.draw_map_if_possible()
    target.describe(complete=True, photos=target.count(), skipped=held.skipped)
    return done


def records(gallery: Gallery) -> Iterator[dict[str, Any]]:
    """All entries as plain JSON values.

    Args:
        gallery: the gallery.

    Yields:
        Dicts with id, person, name, photo, added_at, bits and code (hexadecimal).
    """
    bits = gallery.store.spec.bits
    for rows in gallery.store.scan(batch=_BATCH):
        for id_, code, meta in zip(rows.ids.tolist(), rows.codes, rows.meta, strict=True):
            yield {
                "id": id_,
                "person": meta.person,
                "name": meta.shown,
                "photo": meta.photo,
                "added_at": meta.added_at,
                "bits": bits,
                "code": codes.to_hex(code),
            }


def export_jsonl(gallery: Gallery, file: TextIO) -> int:
    """Write all entries as JSON Lines, one object of `records` per line.

    Ids are strings: they have 63 bits, of which JSON parsers in JavaScript keep 53.

    Args:
        gallery: the gallery.
        file: text file, open for writing.

    Returns:
        Number of entries.
    """
    count = 0
    for record in records(gallery):
        line = json.dumps(record | {"id": str(record["id"])}, ensure_ascii=False)
        file.write(line + "\n")
        count += 1
    return count


def export_parquet(gallery: Gallery, path: Path) -> int:
    """Write all entries as a Parquet file with the columns of `records`.

    Args:
        gallery: the gallery.
        path: the file.

    Returns:
        Number of entries.

    Raises:
        DataError: the file cannot be written.
        MissingPackageError: pyarrow is not installed.
    """
    with extra_packages("A Parquet file, in place of one whose name ends in .jsonl,"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("person", pa.string()),
            ("name", pa.string()),
            ("photo", pa.string()),
            ("added_at", pa.float64()),
            ("bits", pa.int32()),
            ("code", pa.string()),
        ],
        metadata={
            "fingerprint": gallery.provenance.codes_fingerprint,
            "alignment": gallery.provenance.alignment,
            "source": gallery.provenance.source,
            "credit": gallery.provenance.credit,
        },
    )
    count, waiting = 0, []
    try:
        with pq.ParquetWriter(path, schema) as writer:
            for record in records(gallery):
                waiting.append(record)
                count += 1
                if len(waiting) == _BATCH:
                    writer.write_table(pa.Table.from_pylist(waiting, schema))
                    waiting.clear()
            writer.write_table(pa.Table.from_pylist(waiting, schema))
    except OSError as error:
        raise DataError(f"{path.name} cannot be written ({error.strerror}).") from error
    return count


def _joined(a: str, b: str) -> str:
    parts = [part for part in (a, b) if part]
    return "; ".join(dict.fromkeys(parts))
