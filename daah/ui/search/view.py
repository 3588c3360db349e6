"""Everything the Search tab draws, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daah.types import EncodedFace, Match
from daah.ui.state.session import Options, Session


@dataclass(frozen=True, eq=False)
class Detail:
    """The chosen match and its gallery face, encoded."""

    match: Match
    encoded: EncodedFace


@dataclass(frozen=True, eq=False)
class View:
    """Everything the Search tab draws. matches: per face; thumbnails: of the chosen face's."""

    session: Session
    options: Options
    faces: tuple[EncodedFace, ...]
    matches: tuple[tuple[Match, ...], ...]
    thumbnails: Mapping[int, np.ndarray]
    gallery: int
    detail: Detail | None

    @property
    def chosen(self) -> EncodedFace:
        """The chosen face."""
        return self.faces[self.session.face]
