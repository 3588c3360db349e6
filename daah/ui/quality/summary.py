"""The five numbers that "How good is it" starts with: sentences of the committed reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daah.models.encoder import FaceEncoder
from daah.ui.page.terms import term
from daah.ui.quality.reports import RESULTS, read_report


def sentences(encoder: FaceEncoder, bits: int, folder: Path = RESULTS) -> list[str]:
    """What was measured of a checkpoint, as HTML sentences.

    Args:
        encoder: the network; reports about another one are not used.
        bits: code length that the page searches with.
        folder: where the reports are.

    Returns:
        Up to five sentences; those whose report is missing are left out.
    """

    def report(name: str) -> Mapping[str, Any]:
        found = read_report(folder / f"{name}.json")
        named = found.get("checkpoint")
        own = isinstance(named, dict) and named.get("sha256") == encoder.fingerprint
        return found if own else {}

    def row(found: Mapping[str, Any], **wanted: Any) -> Mapping[str, Any]:
        rows = found.get("results", found.get("rows", []))
        return next((r for r in rows if all(r.get(k) == v for k, v in wanted.items())), {})

    said = []
    searched = report("open-set")
    if found := row(searched, bits=bits, distance="hamming", rerank=False):
        said.append(
            f"<b>{found['rank1']:.1%}</b> of {searched['queries']:,} searches put the right person "
            f"first, among {searched['images']:,} photos of {searched['people']:,} people who are "
            "not in the training data."
        )
    asked = report("identification")
    found = row(asked, bits=bits, distance="hamming", template="fused")
    if rule := found.get("rule"):
        said += [
            f"<b>{rule['fpir']:.1%}</b> of {asked['non_mated']:,} strangers who search a gallery "
            f"of {asked['enrolled']:,} people get a match though they are not in it "
            f"({term('FPIR')}). Each person there has one code, of all of their photos but one.",
            f"<b>{rule['fnir']:.1%}</b> of the searches with the photos that were left out do not "
            f"give their person as a match ({term('FNIR')}): the limit is strict so that strangers "
            "are seldom given a name.",
        ]
    said.append(
        f"<b>{bits // 8} bytes</b> per face are stored: a {term('code')} of {bits} {term('bits')}."
    )
    speed = report("bench")
    if found := row(speed, what="encode one face, batch 1"):
        machine = speed["machine"]
        threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
        said.append(
            f"<b>{found['ours']:.0f} milliseconds</b> is what computing the code of a face takes "
            f"on {threads} of a server processor."
        )
    return said


def panel(said: list[str], bits: int) -> str:
    """The sentences as a list, with what holds for all of them."""
    items = "".join(f"<li>{sentence}</li>" for sentence in said)
    return (
        f'<ul class="five">{items}</ul>'
        f'<p class="hint">All at {bits} bits, the length at which this page searches unless you '
        "choose another one, on validation photos of Labeled Faces in the Wild. Each subject below "
        f"unfolds, and says at which length it was measured. {term('mAP')}, and all shares in the "
        "tables, are between 0 and 1. TAR at a FAR: the share of pairs of photos of one person "
        "that are accepted, where the limit lets that share of pairs of two people pass.</p>"
    )
