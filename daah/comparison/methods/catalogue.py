"""List of the hashing methods that are compared.

`METHODS` lists the methods of the comparison. To add a method, write its class and add a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daah.comparison.methods.adsh import ADSH
from daah.comparison.methods.base import HashingMethod
from daah.comparison.methods.bihalf import BihalfNet
from daah.comparison.methods.classification import DDH, DDQH
from daah.comparison.methods.csq import CSQ
from daah.comparison.methods.dagh import DAGH
from daah.comparison.methods.dcdh import DCDH
from daah.comparison.methods.ddah import DDAH
from daah.comparison.methods.dpn import DPN
from daah.comparison.methods.dsah import DSaH
from daah.comparison.methods.dsdh import DSDH
from daah.comparison.methods.greedy import GreedyHash
from daah.comparison.methods.itq import ITQ, PCASigns
from daah.comparison.methods.kernel import KSH, SDH
from daah.comparison.methods.lsh import LSH
from daah.comparison.methods.orthohash import OrthoHash
from daah.comparison.methods.pairwise import DHN, DSH, MultiLabelDSH
from daah.comparison.methods.spectral import SH
from daah.comparison.methods.spherical import SpherH


@dataclass(frozen=True)
class Method:
    """One method of the comparison.

    Attributes:
        build: the class, called with bits, seed, budget and the settings of a try.
        kind: "shallow" or "deep".
        tries: settings among which tuning chooses; methods that are tuned all have the same number.
    """

    build: type[HashingMethod]
    kind: str
    tries: tuple[Mapping[str, Any], ...] = field(default=({},))


#: Every trained network tunes its learning rate; DSDH also tunes `pull`.
_RATES = ({"lr": 1e-3}, {"lr": 3e-3})
_WIDTHS = ({"width": 0.5}, {"width": 1.0})

METHODS: dict[str, Method] = {
    "LBP": Method(PCASigns, "shallow"),
    "LSH": Method(LSH, "shallow"),
    "SH": Method(SH, "shallow"),
    "ITQ": Method(ITQ, "shallow"),
    "SpherH": Method(SpherH, "shallow"),
    "KSH": Method(KSH, "shallow", _WIDTHS),
    "SDH": Method(SDH, "shallow", _WIDTHS),
    "DSH": Method(DSH, "deep", _RATES),
    "DHN": Method(DHN, "deep", _RATES),
    "multi-label DSH": Method(MultiLabelDSH, "deep", _RATES),
    "DSDH": Method(DSDH, "deep", ({"lr": 1e-3, "pull": 0.1}, {"lr": 3e-3, "pull": 1e-3})),
    "DDH": Method(DDH, "deep", _RATES),
    "DDQH": Method(DDQH, "deep", _RATES),
    "ADSH": Method(ADSH, "deep", _RATES),
    "DSaH": Method(DSaH, "deep", _RATES),
    "DDAH": Method(DDAH, "deep", _RATES),
    # Methods that the paper does not compare with, by year.
    "GreedyHash": Method(GreedyHash, "deep", _RATES),
    "CSQ": Method(CSQ, "deep", _RATES),
    "DPN": Method(DPN, "deep", _RATES),
    "DAGH": Method(DAGH, "deep", _RATES),
    "BihalfNet": Method(BihalfNet, "shallow", _RATES),
    "DCDH": Method(DCDH, "deep", _RATES),
    "OrthoHash": Method(OrthoHash, "deep", _RATES),
}

#: DDAH with one part removed or changed.
ABLATION: dict[str, Mapping[str, Any]] = {
    "without spatial attention": {"spatial_attention": False},
    "without channel attention": {"channel_attention": False},
    "without fusing": {"fused_stages": False},
    "without face spatial loss": {"spatial_loss": False},
    "margin 0.3": {"margin": 0.3},
    "margin 1": {"margin": 1.0},
}
