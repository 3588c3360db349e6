"""Everything the Search tab draws, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daah.types import EncodedFace, FaceQuality, Match, PersonMatch
from daah.ui.search.cover import CoverView
from daah.ui.state.session import Options, Session


@dataclass(frozen=True, eq=False)
class Detail:
    """The chosen match and its gallery face, encoded."""

    match: Match
    encoded: EncodedFace


@dataclass(frozen=True, eq=False)
class View:
    """Everything the Search tab draws.

    Attributes:
        session: the photo's faces.
        options: the controls.
        faces: the faces under the chosen attention.
        matches: of each face.
        people: of each face.
        thumbnails: of the chosen face's matches.
        gallery: number of codes searched.
        detail: the chosen match; None when none is.
        cover: the chosen face with something in front of it; None when nothing is.
        people_searched: number of people searched.
        rate: how often a stranger finds anybody as near as the nearest person of the chosen face;
            None without limits of searches, or without people.
        rival: the nearest photo of another person than the chosen one; None without one, or
            before the regions that separate them are asked for.
        quality: how far each face can be told from others.
    """

    session: Session
    options: Options
    faces: tuple[EncodedFace, ...]
    matches: tuple[tuple[Match, ...], ...]
    people: tuple[tuple[PersonMatch, ...], ...]
    thumbnails: Mapping[int, np.ndarray]
    gallery: int
    detail: Detail | None
    cover: CoverView | None = None
    people_searched: int = 0
    rate: float | None = None
    rival: Detail | None = None
    quality: tuple[FaceQuality, ...] = ()

    @property
    def chosen(self) -> EncodedFace:
        """The chosen face."""
        return self.faces[self.session.face]
