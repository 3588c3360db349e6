"""False match and false non-match rates of groups of photos, at the thresholds that are shipped.

Two decisions are shipped: whether two photos are of one person (the pair's threshold of Compare),
and whether the nearest person of a gallery is a match (the search's limit). Both are told by group,
the thresholds being the same for all groups.

Groups are quartiles of what is measured of a photo (`robustness.attributes`), and those of a CSV
file that the user brings.

Axes: N = photos, P = people, K = logits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.errors import DataError
from daah.metrics.bootstrap import bootstrap_people

#: Groups per measured attribute.
_QUANTILES = 4

#: Samples of the bootstrap.
_SAMPLES = 1000

#: Largest file of groups that is read.
_MOST_BYTES = 64 * 2**20

#: Group of photos that a file does not name.
_NONE = ""


@dataclass(frozen=True, eq=False)
class Slice:
    """A group of photos.

    Attributes:
        attribute: what the photos are grouped by.
        group: name of the group.
        inside: (N,) bool.
    """

    attribute: str
    group: str
    inside: np.ndarray


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the shipped thresholds decide about the photos of a set.

    Attributes:
        packed: (N, B) uint8 codes of all photos.
        threshold: largest distance of a pair that counts as one person.
        mated: rows of mated searches (Q,).
        missed: (Q,) chance that each of them does not find its person within the limit.
        non_mated: rows of non-mated searches (S,).
        alarm: (S,) bool, whether each of them finds anybody within the limit.
    """

    packed: np.ndarray
    threshold: int
    mated: np.ndarray
    missed: np.ndarray
    non_mated: np.ndarray
    alarm: np.ndarray


@dataclass(frozen=True)
class SliceScores:
    """Error rates of one group.

    A rate without anything to count, and its interval, are None.

    Attributes:
        attribute: what the photos are grouped by.
        group: name of the group; of measured attributes, the range of its values.
        photos: photos in the group.
        people: people with a photo in the group.
        fnmr: share of the pairs of one person, one photo of the pair in the group, beyond the
            threshold of pairs.
        fnmr_ci95: its 95% interval, by bootstrap over people.
        fmr: share of the pairs of two people, both photos in the group, within that threshold.
        fmr_ci95: its 95% interval, by bootstrap over people.
        fnir: share of the mated searches of the group that do not find their person within the
            limit of searches.
        fnir_ci95: its 95% interval, by bootstrap over people.
        fpir: share of the non-mated searches of the group that find anybody within it.
        fpir_ci95: its 95% interval, by bootstrap over people.
    """

    attribute: str
    group: str
    photos: int
    people: int
    fnmr: float | None
    fnmr_ci95: tuple[float, float] | None
    fmr: float | None
    fmr_ci95: tuple[float, float] | None
    fnir: float | None
    fnir_ci95: tuple[float, float] | None
    fpir: float | None
    fpir_ci95: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        return asdict(self)


def quantile_slices(values: Mapping[str, np.ndarray]) -> tuple[Slice, ...]:
    """Quartiles of measured attributes.

    Args:
        values: (N,) numbers of each attribute.

    Returns:
        The groups, ascending; an attribute with few distinct values has fewer.
    """
    found = []
    for attribute, numbers in values.items():
        edges = np.quantile(numbers, np.linspace(0, 1, _QUANTILES + 1))
        place = np.searchsorted(edges[1:-1], numbers, side="right")
        for group in range(_QUANTILES):
            inside = place == group
            if inside.any():
                low, high = numbers[inside].min(), numbers[inside].max()
                found.append(Slice(attribute, f"{low:.3g} to {high:.3g}", inside))
    return tuple(found)


def read_slices(path: Path, faces: LabelledFaces) -> tuple[Slice, ...]:
    """Groups of a CSV file.

    The first column is called "person", with names of folders, or "photo", with FOLDER/FILE. Every
    other column is an attribute, and its values are names of groups. An empty cell, and a photo
    that is not listed, is in no group.

    Args:
        path: the file, in UTF-8.
        faces: the photos.

    Returns:
        The groups that have photos, by attribute and name.

    Raises:
        DataError: the file cannot be read, has another form, names somebody twice, or names none of
            the photos.
    """
    header, rows = _read(path)
    key, attributes = header[0], header[1:]
    owners = faces.labels.tolist()
    if key == "photo":
        owners = [
            f"{person}/{photo.name}" for person, photo in zip(owners, faces.paths, strict=True)
        ]
    if not set(owners) & set(rows):
        raise DataError(f"{path}: none of its {len(rows)} rows names a {key} of these photos")
    found = []
    for column, attribute in enumerate(attributes):
        own = np.array([rows[owner][column] if owner in rows else _NONE for owner in owners])
        groups = sorted(set(own.tolist()) - {_NONE})
        found += [Slice(attribute, group, own == group) for group in groups]
    return tuple(found)


def _read(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: larger than {_MOST_BYTES >> 20} MB, expected rows of groups")
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    header = [cell.strip() for cell in lines[0]] if lines else []
    if len(header) < 2 or header[0] not in ("person", "photo"):
        raise DataError(
            f'{path}: expected a first line "person" or "photo", then names of attributes, got '
            f"{','.join(header) or 'nothing'!r}"
        )
    if len(set(header)) < len(header):
        raise DataError(f"{path}: two columns have one name")
    rows: dict[str, list[str]] = {}
    for number, (owner, *cells) in enumerate(lines[1:], 2):
        if len(cells) != len(header) - 1:
            raise DataError(
                f"{path}: row {number} has {len(cells) + 1} cells, expected {len(header)}"
            )
        if owner in rows:
            raise DataError(f"{path}: {owner} has two rows")
        rows[owner] = [cell.strip() for cell in cells]
    return header, rows


def slice_scores(
    labels: np.ndarray, decisions: Decisions, slices: Sequence[Slice]
) -> tuple[SliceScores, ...]:
    """Error rates of every group.

    Args:
        labels: (N,) person of each photo.
        decisions: of the shipped thresholds.
        slices: the groups.

    Returns:
        Their scores, in the same order.
    """
    return tuple(_scores(labels, decisions, slices))


def _scores(
    labels: np.ndarray, decisions: Decisions, slices: Sequence[Slice]
) -> Iterator[SliceScores]:
    _, person = np.unique(labels, return_inverse=True)
    accepted = codes.hamming(decisions.packed, decisions.packed) <= decisions.threshold  # (N, N)
    same = person[:, None] == person
    np.fill_diagonal(same, False)
    mates = same.sum(1)
    rejected = (same & ~accepted).sum(1)
    for group in slices:
        inside = np.flatnonzero(group.inside)
        asked = inside[mates[inside] > 0]
        weights = mates[asked].astype(np.float64)
        mated, others = group.inside[decisions.mated], group.inside[decisions.non_mated]
        fnmr = _mean(rejected[asked] / np.maximum(weights, 1), labels[asked], weights)
        fmr = _false_matches(accepted[np.ix_(inside, inside)], person[inside])
        fnir = _mean(decisions.missed[mated], labels[decisions.mated][mated])
        fpir = _mean(decisions.alarm[others], labels[decisions.non_mated][others])
        yield SliceScores(
            group.attribute,
            group.group,
            len(inside),
            len(np.unique(person[inside])),
            *fnmr,
            *fmr,
            *fnir,
            *fpir,
        )


#: A rate and its interval.
_Rate = tuple[float, tuple[float, float]] | tuple[None, None]


def _mean(values: np.ndarray, people: np.ndarray, weights: np.ndarray | None = None) -> _Rate:
    if not len(values):
        return None, None
    mean = float(np.average(values, weights=weights))
    return mean, bootstrap_people(values, people, weights, _SAMPLES)


def _false_matches(accepted: np.ndarray, person: np.ndarray) -> _Rate:
    """Pairs of two people that are accepted. Every draw takes people, with all of their pairs."""
    inside, place = np.unique(person, return_inverse=True)
    if len(inside) < 2:
        return None, None
    owner = np.zeros((len(inside), len(place)))
    owner[place, np.arange(len(place))] = 1
    matches = owner @ accepted @ owner.T  # (P, P) accepted pairs of photos
    sizes = owner.sum(1)
    pairs = np.outer(sizes, sizes)
    np.fill_diagonal(matches, 0)
    np.fill_diagonal(pairs, 0)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=_SAMPLES)
    compared = ((drawn @ pairs) * drawn).sum(1)
    kept = compared > 0
    rates = ((drawn @ matches) * drawn).sum(1)[kept] / compared[kept]
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(matches.sum() / pairs.sum()), (float(low), float(high))
