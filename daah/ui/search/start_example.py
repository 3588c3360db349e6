"""The finished result that a page starts with: the first example, encoded beforehand.

Its file is made by `scripts.make_examples` and holds what the network said, not what it looks
like: matches are searched in the gallery that is served, and everything on it can be tapped.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from daah.retrieval.retriever import FaceRetriever
from daah.types import Code, EncodedFace, Face
from daah.ui.page.examples import EXAMPLES
from daah.ui.search import actions
from daah.ui.state.session import ATTENTION_ON, Options, Session

FILE = Path(__file__).parent / "static" / "start_example.npz"

#: What the file holds of each face.
_FACE = ("box", "landmarks", "score", "aligned", "matrix", "logits", "mask", "seen")

#: The example that is shown.
EXAMPLE = EXAMPLES[0]


def load_start_example(retriever: FaceRetriever, path: Path = FILE) -> Session:
    """The finished example. Of another model's file nothing is used: it is encoded now instead."""
    stored = _read(path, retriever.encoder.fingerprint)
    if stored is not None:
        return stored
    bits = retriever.bits
    return _lasting(actions.search(retriever, EXAMPLE.read(), Options(bits, 1, 0)))


def save_start_example(retriever: FaceRetriever, path: Path = FILE) -> None:
    """Encode the example and write its file, with the per-bit view of its first face."""
    options = Options(retriever.bits, 1, 0)
    session = actions.search(retriever, EXAMPLE.read(), options)
    session = actions.choose_bit(retriever, session, options, 0)
    faces = session.encoded[ATTENTION_ON]
    np.savez_compressed(
        path,
        fingerprint=np.array(retriever.encoder.fingerprint),
        box=np.stack([f.face.box for f in faces]),
        landmarks=np.stack([f.face.landmarks for f in faces]),
        score=np.array([f.face.score for f in faces]),
        aligned=np.stack([f.face.aligned for f in faces]),
        matrix=np.stack([f.face.matrix for f in faces]),
        logits=np.stack([f.code.logits for f in faces]),
        mask=np.stack([f.mask for f in faces]),
        seen=np.stack([f.seen for f in faces]),
        regions=session.regions[(ATTENTION_ON, 0)].astype(np.float16),
        steps=np.array(list(session.seconds)),
        seconds=np.array(list(session.seconds.values())),
    )


def _read(path: Path, fingerprint: str) -> Session | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as held:
        if str(held["fingerprint"]) != fingerprint:
            return None
        faces = tuple(
            EncodedFace(
                Face(box, landmarks, float(score), aligned, matrix),
                Code(logits > 0, logits),
                mask,
                seen,
            )
            for box, landmarks, score, aligned, matrix, logits, mask, seen in zip(
                *(held[k] for k in _FACE), strict=True
            )
        )
        seconds = dict(zip(held["steps"].tolist(), held["seconds"].tolist(), strict=True))
        regions = {(ATTENTION_ON, 0): held["regions"].astype(np.float32)}
    return Session(
        EXAMPLE.read(), {ATTENTION_ON: faces}, seconds, regions=regions, born=math.inf, example=True
    )


def _lasting(session: Session) -> Session:
    return Session(session.photo, session.encoded, session.seconds, born=math.inf, example=True)
