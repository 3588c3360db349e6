"""Faces without names: enrol loose photos, and find out which of them show one person.

Clusters are those of DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996) in scikit-learn, over the
store's search by radius. Its settings were chosen on people of training
(`benchmarks/clustering.py`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data.sources import photos_below
from daah.extras import extra_packages
from daah.gallery.gallery import Gallery
from daah.gallery.manifest import Listing, Refused, Row, row_of
from daah.gallery.names import entry_id
from daah.gallery.people import is_unnamed, is_unsorted, new_unnamed, unsorted_person
from daah.parallel import Progress
from daah.stores.base import CodeStore, Filter

#: Bits in which neighbours differ at most, by code length. A short code needs a smaller share,
#: because more strangers are near by chance.
RADII = {64: 11, 128: 32, 256: 68}

#: Neighbours, itself included, that make a face the middle of a cluster.
MIN_FACES = 2

#: Templates that differ in up to so many times the bits of neighbours may be of one person. Of the
#: training people that the network did not learn from, three of four such pairs were one person.
_DOUBTFUL = 1.2

#: Queries of the store at a time.
_BATCH = 1000


@dataclass(frozen=True)
class ClusterReport:
    """Result of `cluster`.

    Attributes:
        faces: faces that were not in a cluster before.
        people: new people without a name, of one photo or more.
        joined: faces that joined a cluster that was there before.
        radius: largest distance of neighbours in bits.
    """

    faces: int
    people: int
    joined: int
    radius: int


def radius_of(bits: int) -> int:
    """The largest distance at which two faces are neighbours.

    Args:
        bits: code length. Between and beyond the lengths of `RADII` the share of the bits is
            interpolated, or that of the nearest one.

    Returns:
        The distance in bits.
    """
    lengths = np.array(sorted(RADII), np.float64)
    shares = [RADII[int(length)] / length for length in lengths]
    return int(bits * np.interp(bits, lengths, shares))


def doubtful_radius(bits: int) -> int:
    """The largest distance of two templates at which they may well be of one person.

    It is beyond that of neighbours: templates within that distance are mostly clustered already.

    Args:
        bits: code length.

    Returns:
        The distance in bits.
    """
    return int(_DOUBTFUL * radius_of(bits))


def check_folder(folder: Path) -> None:
    """Check that there are photos in a folder or in one of the folders in it.

    Args:
        folder: the folder.

    Raises:
        DataError: there is no such folder, or no photo in it.
    """
    photos_below(Path(folder))


def loose_photos(gallery: Gallery, folder: Path) -> Listing:
    """List photos whose people are unknown: those of a folder and of all folders in it.

    An entry's id is a hash of the file's content, so that the same photo is enrolled once, also
    from another folder or by another name.

    Args:
        gallery: the gallery they are to be added to. Those that it has keep their person.
        folder: the folder; hidden files and folders, and the gallery's own, are left out.

    Returns:
        The photos, each of a person of its own until `cluster`.

    Raises:
        DataError: there is no such folder, or no photo in it.
    """
    folder = Path(folder)
    faces = gallery.folder.resolve()
    paths = [path for path in photos_below(folder) if faces not in path.resolve().parents]

    def rows() -> Iterator[Row | Refused]:
        for path in paths:
            shown = path.relative_to(folder).as_posix()
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                yield Refused(shown, f"the file cannot be read ({error.strerror})")
                continue
            id_ = entry_id("", digest)
            known = gallery.store.contains(np.array([id_], np.int64))[0]
            person = gallery.entry(id_).person if known else unsorted_person(id_)
            row = row_of(person, shown, path)
            yield Row(person, row.photo, path, id_) if isinstance(row, Row) else row

    return Listing(rows, len(paths))


def cluster(
    gallery: Gallery, radius: int | None = None, progress: Progress | None = None
) -> ClusterReport:
    """Find the people of all faces that `loose_photos` enrolled and no call has sorted yet.

    A face joins the cluster without a name that most of its own cluster's faces are in. Clusters
    that are there, people with names and their photos stay as they are; `people.suggestions`
    proposes who may be the same.

    Args:
        gallery: the gallery, open for writing.
        radius: largest distance of neighbours in bits; None takes `radius_of`.
        progress: called with faces done, their number, and the step.

    Returns:
        What was found.

    Raises:
        GalleryError: the gallery is read-only, or cannot be written.
    """
    gallery.require_writable()
    bits = gallery.store.spec.bits
    radius = radius_of(bits) if radius is None else radius
    unnamed = frozenset(p.person for p in gallery.store.people() if is_unnamed(p.person))
    ids, packed, people = [np.empty(0, np.int64)], [], []
    for rows in gallery.store.scan(Filter(people=unnamed)) if unnamed else ():
        ids.append(rows.ids)
        packed.append(rows.codes)
        people += [meta.person for meta in rows.meta]
    waiting = np.array([is_unsorted(person) for person in people], bool)
    if not waiting.any():
        return ClusterReport(0, 0, 0, radius)
    found = density_clusters(
        gallery.store, np.concatenate(ids), np.concatenate(packed), radius, progress=progress
    )
    all_ids = np.concatenate(ids)
    new: list[np.ndarray] = []
    changes: dict[int, tuple[str, str]] = {}
    for label in np.unique(found[waiting]):
        own = found == label
        there = Counter(people[i] for i in np.flatnonzero(own & ~waiting))
        come = all_ids[own & waiting]
        if there:
            ((target, _),) = there.most_common(1)
            changes |= dict.fromkeys(come.tolist(), (target, ""))
        else:
            new.append(come)
    joined = len(changes)
    new.sort(key=lambda come: (-len(come), int(come[0])))
    for name, come in zip(new_unnamed(gallery, len(new)), new, strict=True):
        changes |= dict.fromkeys(come.tolist(), name)
    gallery.assign_many(changes)
    return ClusterReport(int(waiting.sum()), len(new), joined, radius)


def density_clusters(
    store: CodeStore,
    ids: np.ndarray,
    packed: np.ndarray,
    radius: int,
    bits: int | None = None,
    min_faces: int = MIN_FACES,
    progress: Progress | None = None,
) -> np.ndarray:
    """Clusters of rows of a store by DBSCAN.

    Args:
        store: the store.
        ids: (N,) int64 ascending, the rows.
        packed: (N, B) uint8, their codes.
        radius: largest Hamming distance of neighbours.
        bits: length of the prefix that is compared; None compares all bits.
        min_faces: neighbours within the radius, itself included, that make a row the middle of a
            cluster.
        progress: called with rows done, their number, and the step.

    Returns:
        (N,) int64, the cluster of each row; a row that is in none has a number of its own.
    """
    with extra_packages("Clustering"):  # imported late: a second, which other commands need not
        from scipy.sparse import csr_matrix
        from sklearn.cluster import DBSCAN

    starts, columns, values = [0], [], []
    for start in range(0, len(ids), _BATCH):
        near = store.within(packed[start : start + _BATCH], radius, bits)
        row = np.searchsorted(ids, near.ids)
        kept = ids[np.minimum(row, len(ids) - 1)] == near.ids
        columns.append(row[kept])
        values.append(near.distances[kept])
        ends = np.concatenate([[0], np.cumsum(kept)])[near.starts[1:]]
        starts += (ends + starts[-1]).tolist()
        if progress:
            progress(min(start + _BATCH, len(ids)), len(ids), "Comparing faces")
    # One more than the distance: a sparse matrix may forget a zero, and equal codes are neighbours.
    graph = csr_matrix(
        (
            np.concatenate([np.empty(0, np.int32), *values]) + 1.0,
            np.concatenate([np.empty(0, np.int64), *columns]),
            starts,
        ),
        shape=(len(ids), len(ids)),
    )
    if not len(ids):
        return np.empty(0, np.int64)
    model = DBSCAN(eps=radius + 1.0, min_samples=min_faces, metric="precomputed")
    found = model.fit_predict(graph).astype(np.int64)
    alone = found < 0
    found[alone] = found.max() + 1 + np.arange(alone.sum())
    return found
